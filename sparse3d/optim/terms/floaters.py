"""Floaters go: what one photo alone shows although it stands in front of what another one is sure of.

A free-space test (floater pruning as in SparseGS, Xiong et al. 2023, who compare rendered depths; here the prior's decides).
A view sees through a Gaussian where its confident and supported depth lies clearly behind: z < (1 - margin) * depth, for the
least depth of the 3x3 pixels around, since an edge may be a pixel off. It vouches for a Gaussian that shows in it (its largest
blending weight says so) unless it sees through it. What a view sees through and no more than one other vouches for is
removed. Opacities are never reset: with few photos what is gone does not come back.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core.cameras import Cameras, project
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.terms.interface import Edit, Step
from sparse3d.optim.terms.rounds import RoundsTerm
from sparse3d.optim.warping import MIN_CONFIDENCE, sample
from sparse3d.render.rasterise import rasterise

MIN_WEIGHT = 0.05
"""A Gaussian that is never blended with more than this does not show in a view."""


@dataclass(frozen=True)
class FloatersConfig:
    """Settings of `Floaters`.

    Attributes:
        at: shares of the iterations after which floaters are looked for; none turns it off.
        margin: by how much, as a share of the depth, a floater stands in front of what another view is sure of.
    """

    at: tuple[float, ...] = ()
    margin: float = 0.05

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in self.at) or not 0 < self.margin < 1:
            raise ValueError(f"floaters: shares in [0, 1] and a margin in (0, 1) expected, got {self}")


class Floaters(RoundsTerm):
    """Removes Gaussians at a few points of the optimisation."""

    def __init__(self, config: FloatersConfig) -> None:
        super().__init__(config.at)
        self.config = config

    def edit(self, step: Step, params: GaussianParams) -> Edit | None:
        if not self.is_due(step):
            return None
        floating = find_floaters(step, params, self.config.margin)
        return Edit(~floating) if floating.any() and not floating.all() else None


@torch.no_grad()
def find_floaters(step: Step, params: GaussianParams, margin: float) -> Bool[Tensor, " n"]:
    """Which Gaussians a view sees through while no more than one other vouches for them."""
    gaussians = params.activate()
    options = replace(step.render, statistics=True, depth=False)
    vouching, through = torch.zeros(len(params), dtype=torch.long), torch.zeros(len(params), dtype=torch.bool)
    for view in range(len(step.prior.cameras)):
        camera = step.cameras([view])
        statistics = rasterise(gaussians, camera, options=options).statistics
        assert statistics is not None  # asked for
        ahead = _in_front(params.means, camera, step.prior, view, margin)
        vouching += (statistics.weight_max[0] >= MIN_WEIGHT) & ~ahead
        through |= ahead
    return through & (vouching <= 1)


def _in_front(
    means: Float[Tensor, "n 3"], camera: Cameras, prior: GeometryPrior, view: int, margin: float
) -> Bool[Tensor, " n"]:
    """Which centres the view sees through."""
    found = prior.depths[view]
    sure = (found.confidence >= MIN_CONFIDENCE) & (found.support > 0) & (prior.masks[view] > 0.5)
    pixels, z = project(camera, means[None])
    width, height = camera.sizes[0]
    x, y = pixels[0].unbind(-1)
    inside = (z[0] > 0) & (x > 0) & (x < width) & (y > 0) & (y < height)
    pixels = torch.where(inside[:, None], pixels[0], torch.zeros_like(pixels[0]))
    least = -torch.nn.functional.max_pool2d(-(found.depth * sure).to(means.dtype)[None, None], 3, stride=1, padding=1)
    surface = sample(least[0, 0, ..., None], pixels[None], nearest=True)[0, :, 0]
    return inside & (surface > 0) & (z[0] < (1 - margin) * surface)
