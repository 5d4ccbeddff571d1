"""Adaptive density control of 3DGS (Kerbl et al. 2023, section 5.2) in the form of gsplat's `DefaultStrategy`."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.bench.plain.splats import PlainSplats
from sparse3d.core.se3 import quat_wxyz_to_rotation
from sparse3d.kernels.adam import SplatArrays
from sparse3d.render.rasterise import RenderStatistics

SPLIT_SHRINK = 1.6
"""Two halves have scales of the whole one by this (section 5.2)."""


@dataclass(frozen=True)
class DensifyConfig:
    """Settings of `Densifier`: 3DGS's own.

    Attributes:
        start, every: first iteration after which the Gaussians' number may change, and the distance to the next one.
        stop: iteration from which it does not.
        gradient: mean norm of the loss's gradient to a projected centre, in units of half the picture, from which a Gaussian
            is cloned or split.
        small_scale: up to this share of the scene's extent a Gaussian is cloned, beyond it is split.
        min_opacity: below it Gaussians are pruned.
        max_scale: beyond this share of the scene's extent, too, once opacities were reset.
        reset_every: iterations between two resets of all opacities to at most `reset_opacity`.
    """

    start: int = 500
    every: int = 100
    stop: int = 15_000
    gradient: float = 0.0002
    small_scale: float = 0.01
    min_opacity: float = 0.005
    max_scale: float = 0.1
    reset_every: int = 3000
    reset_opacity: float = 0.01


class Densifier:
    """Gathers the gradients on the screen, and changes the Gaussians' number by them.

    Args:
        splats: changed in place.
        extent: of the scene, see `training.scene_extent`.
        config: settings.
        generator: draws the centres of split Gaussians.
    """

    def __init__(self, splats: PlainSplats, extent: float, config: DensifyConfig, generator: torch.Generator) -> None:
        self.splats, self.extent, self.config, self.generator = splats, extent, config, generator
        self._forget()

    def wants_statistics(self, iteration: int) -> bool:
        """Whether the rendering of this iteration should come with its statistics, which take time."""
        return iteration < self.config.stop

    def after_step(self, iteration: int, statistics: RenderStatistics, size: tuple[int, int]) -> None:
        """Take in what one view showed, and densify, prune or reset where it is time.

        Args:
            iteration: 0 for the first one.
            statistics: of its one view, after the backward pass.
            size: (width, height) of that view in pixels.
        """
        c = self.config
        # Gradients in 1/pixel become those in normalised device coordinates, which the threshold is for.
        half = torch.tensor(size) / 2
        self.sums += (statistics.centre_gradients[0] * half).norm(dim=1)
        self.counts += statistics.radii[0] > 0
        if iteration > c.start and iteration % c.every == 0:
            self.grow()
            self.prune(large=iteration > c.reset_every)
            self._forget()
        if iteration > 0 and iteration % c.reset_every == 0:
            self.splats.cap_opacities(c.reset_opacity)

    def grow(self) -> None:
        """Clone the small and split the large of those whose place the photos disagree with."""
        wanting = self.sums / self.counts.clamp(min=1) > self.config.gradient
        values = self.splats.values
        small = values.log_scales.exp().amax(1) <= self.config.small_scale * self.extent
        cloned, split = wanting & small, wanting & ~small
        halves = [halves_of(values.map(lambda t: t[split]), self.generator) for _ in range(2)]
        further = [values.map(lambda t: t[cloned]), *halves]
        for arrays in further:
            self.splats.append(arrays)
        count = len(self.splats) - len(split)
        self.splats.keep(torch.cat([~split, split.new_ones(count)]))

    def prune(self, *, large: bool) -> None:
        """Drop what is hardly to be seen and, where asked for, what is too large."""
        drawn = self.splats.drawn
        doomed = drawn.opacities.detach() < self.config.min_opacity
        if large:
            doomed |= drawn.scales.detach().amax(1) > self.config.max_scale * self.extent
        self.splats.keep(~doomed)

    def _forget(self) -> None:
        count = len(self.splats)
        self.sums: Float[Tensor, " n"] = torch.zeros(count)
        self.counts: Float[Tensor, " n"] = torch.zeros(count)


def halves_of(whole: SplatArrays, generator: torch.Generator) -> SplatArrays:
    """One of the two halves of each Gaussian: at a place drawn from it, smaller."""
    scales = whole.log_scales.exp()
    drawn = torch.randn(scales.shape, generator=generator) * scales
    rotations = quat_wxyz_to_rotation(whole.quats_wxyz)
    offsets = (rotations @ drawn[:, :, None])[:, :, 0]
    changed = {"means": whole.means + offsets, "log_scales": (scales / SPLIT_SHRINK).log()}
    return SplatArrays(**(vars(whole) | changed))
