"""Adaptive density control: who is cloned, split and pruned, and what becomes of the moments."""

import math

import pytest
import torch

from sparse3d.bench.plain.densify import SPLIT_SHRINK, Densifier, DensifyConfig, halves_of
from sparse3d.bench.plain.splats import PlainSplats
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.se3 import quat_wxyz_to_rotation
from sparse3d.kernels.adam import SplatArrays, SplatRates
from sparse3d.render.rasterise import RenderStatistics

EXTENT = 2.0
SIZE = (100, 60)
SMALL, LARGE, HUGE = 0.019, 0.021, 0.21
"""Below and above 1 % of the extent, above 10 %."""
CONFIG = DensifyConfig(start=0, every=10, stop=100, reset_every=30)
RATES = SplatRates(means=1e-3, quats_wxyz=1e-3, log_scales=0.0, logit_opacities=0.0, sh_dc=1e-3, sh_rest=1e-4)


def splats_of(scales: list[float], opacities: list[float] | None = None) -> PlainSplats:
    """Gaussians in a row, which have made one step, so that they have moments."""
    count = len(scales)
    params = GaussianParams(
        means=torch.arange(count, dtype=torch.float32)[:, None].repeat(1, 3),
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.tensor(scales).log()[:, None].repeat(1, 3),
        logit_opacities=torch.tensor(opacities or [0.5] * count).logit(),
        sh=torch.rand(count, 1, 3),
        confidence=torch.ones(count),
        observations=torch.zeros(count, dtype=torch.int32),
    )
    splats = PlainSplats(params)
    for tensor in vars(splats.drawn).values():
        tensor.grad = torch.ones_like(tensor)
    splats.step(RATES, threads=1)
    return splats


def densifier_of(splats: PlainSplats, config: DensifyConfig = CONFIG) -> Densifier:
    return Densifier(splats, EXTENT, config, torch.Generator().manual_seed(0))


def seen(gradients: torch.Tensor, radii: torch.Tensor | None = None) -> RenderStatistics:
    """What one view shows of Gaussians with these gradients, in 1/pixel."""
    none = torch.zeros(1, len(gradients))
    radii = torch.ones(1, len(gradients)) if radii is None else radii[None]
    return RenderStatistics(radii, none, none, gradients[None])


def along_x(*normalised: float) -> torch.Tensor:
    """Gradients that are so large in units of half the picture."""
    return torch.tensor([[value / (SIZE[0] / 2), 0.0] for value in normalised])


def test_the_small_are_cloned_the_large_split_and_the_settled_stay():
    splats = splats_of([SMALL, LARGE, SMALL, LARGE])
    before, moments = splats.values.map(torch.clone), splats._state.first.means.clone()
    densifier_of(splats).after_step(10, seen(along_x(0.00021, 0.00021, 0.00019, 0.00019)), SIZE)
    values = splats.values
    assert len(splats) == 6
    assert torch.equal(values.means[:3], before.means[[0, 2, 3]])  # the split one is gone, the others keep their order
    assert torch.equal(values.means[3], before.means[0]) and torch.equal(values.log_scales[3], before.log_scales[0])
    halves = values.log_scales[4:]
    torch.testing.assert_close(halves, torch.full((2, 3), math.log(LARGE / SPLIT_SHRINK)))
    assert not torch.equal(values.means[4], values.means[5])
    assert (values.means[4:] - before.means[1]).abs().max() < 5 * LARGE
    assert torch.equal(values.sh[4:], before.sh[[1, 1]])
    assert torch.equal(splats._state.first.means[:3], moments[[0, 2, 3]]) and not splats._state.first.means[3:].any()
    assert torch.equal(splats.drawn.scales, values.log_scales.exp())


def test_gradients_count_in_units_of_half_the_picture_and_in_views_that_see_the_gaussian():
    splats = splats_of([SMALL] * 3)
    densifier = densifier_of(splats)
    vertical = torch.tensor([[0.0, 0.00021 / (SIZE[1] / 2)]])
    unseen = torch.zeros(1, 2)
    densifier.after_step(9, seen(torch.cat([vertical, along_x(0.0003), along_x(0.0003)])), SIZE)
    densifier.after_step(10, seen(torch.cat([unseen, unseen, unseen]), torch.tensor([0.0, 0.0, 4.0])), SIZE)
    assert len(splats) == 5  # the third one's mean over two views is below the threshold
    densifier.after_step(20, seen(torch.zeros(5, 2)), SIZE)
    assert len(splats) == 5  # what was gathered is forgotten


def test_nothing_changes_between_the_times_for_it():
    splats = splats_of([SMALL])
    densifier = densifier_of(splats)
    for iteration in (0, 5, 11):
        densifier.after_step(iteration, seen(along_x(1.0)), SIZE)
    assert len(splats) == 1
    assert densifier.wants_statistics(99) and not densifier.wants_statistics(100)


def test_the_transparent_are_pruned_and_the_huge_once_opacities_were_reset():
    splats = splats_of([SMALL, SMALL, HUGE], [0.0049, 0.0051, 0.5])
    densifier = densifier_of(splats)
    densifier.after_step(10, seen(torch.zeros(3, 2)), SIZE)
    assert splats.values.logit_opacities.sigmoid().tolist() == pytest.approx([0.0051, 0.5])
    densifier.after_step(40, seen(torch.zeros(2, 2)), SIZE)
    assert splats.values.logit_opacities.sigmoid().tolist() == pytest.approx([0.0051])


def test_opacities_are_reset_with_their_moments():
    splats = splats_of([SMALL, SMALL], [0.006, 0.9])
    densifier_of(splats).after_step(30, seen(torch.zeros(2, 2)), SIZE)
    for opacities in (splats.drawn.opacities.detach(), splats.values.logit_opacities.sigmoid()):
        assert opacities.tolist() == pytest.approx([0.006, CONFIG.reset_opacity])
    assert not splats._state.first.logit_opacities.any() and splats._state.first.means.any()


def test_halves_are_drawn_from_the_whole(generator):
    count = 20_000
    quats = torch.tensor([0.8, 0.3, -0.4, 0.2]).repeat(count, 1)
    scales = torch.tensor([0.3, 0.1, 0.02])
    whole = SplatArrays(
        means=torch.tensor([1.0, 2.0, 3.0]).repeat(count, 1),
        quats_wxyz=quats,
        log_scales=scales.log().repeat(count, 1),
        logit_opacities=torch.zeros(count),
        sh=torch.zeros(count, 1, 3),
    )
    offsets = halves_of(whole, generator).means - whole.means
    rotation = quat_wxyz_to_rotation(quats[0])
    expected = rotation @ scales.square().diag() @ rotation.T
    torch.testing.assert_close(offsets.T @ offsets / count, expected, rtol=0.0, atol=0.003)
