"""A changing number of Gaussians under Adam."""

import torch

from sparse3d.bench.plain.splats import PlainSplats
from sparse3d.core.gaussians import GaussianParams, with_sh_degree
from sparse3d.kernels.adam import SplatRates

RATES = SplatRates(means=0.01, quats_wxyz=0.01, log_scales=0.02, logit_opacities=0.05, sh_dc=0.02, sh_rest=0.005)


def params_of(count: int, generator: torch.Generator) -> GaussianParams:
    return GaussianParams(
        means=torch.randn(count, 3, generator=generator),
        quats_wxyz=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=1),
        log_scales=torch.randn(count, 3, generator=generator) - 3,
        logit_opacities=torch.randn(count, generator=generator),
        sh=torch.rand(count, 1, 3, generator=generator),
        confidence=torch.ones(count),
        observations=torch.zeros(count, dtype=torch.int32),
    )


def pull(splats: PlainSplats) -> None:
    """One step towards larger, brighter Gaussians in the middle; coefficients beyond the first get no gradient."""
    drawn = splats.drawn
    loss = drawn.means.square().sum() - drawn.scales.sum() - drawn.opacities.sum() - drawn.sh[:, 0].sum()
    (loss + drawn.quats_wxyz[:, 0].sum()).backward()
    splats.step(RATES, threads=1)


def test_a_step_follows_the_gradients_and_forgets_them(generator):
    params = params_of(5, generator)
    splats = PlainSplats(params)
    pull(splats)
    stepped = splats.params()
    torch.testing.assert_close(stepped.means, params.means - 0.01 * params.means.sign())
    torch.testing.assert_close(stepped.log_scales, params.log_scales + 0.02)
    torch.testing.assert_close(splats.drawn.scales.detach(), stepped.log_scales.exp())
    assert all(tensor.grad is None for tensor in vars(splats.drawn).values())


def test_what_is_kept_goes_on_as_if_nobody_had_come_or_gone(generator):
    params, others = params_of(6, generator), params_of(3, generator)
    alone, crowded = PlainSplats(params), PlainSplats(params)
    for splats in (alone, crowded):
        pull(splats)
    crowded.append(PlainSplats(others).values)
    keep = torch.tensor([True, False, True, True, True, True, False, True, False])
    crowded.keep(keep)
    for splats in (alone, crowded):
        pull(splats)
    assert len(crowded) == 6
    assert torch.equal(crowded.params().means[:5], alone.params().means[keep[:6]])


def test_a_colour_that_gets_its_coefficients_late_is_the_same(generator):
    params = params_of(4, generator)
    late, early = PlainSplats(params), PlainSplats(with_sh_degree(params, 2))
    for splats in (late, early):
        pull(splats)
    late.raise_sh_degree(2)
    for splats in (late, early):
        pull(splats)
    assert late.params().sh.shape == (4, 9, 3) and torch.equal(late.params().sh, early.params().sh)
