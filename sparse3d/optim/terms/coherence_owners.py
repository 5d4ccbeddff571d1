"""Which pixel of which photo a Gaussian belongs to: what `coherence` decodes for it."""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sparse3d.core.cameras import project
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior

UNKNOWN = 1e3
"""Stands for the relative error of depth where a photo has none, or where a Gaussian is outside it."""


@dataclass(frozen=True)
class Owners:
    """Of each Gaussian.

    Attributes:
        views: whose pixel it is.
        layers: of depth, in that view, 0 for the nearest.
        pixels: (x, y) in the image, which reaches from -1 to 1.
    """

    views: Int[Tensor, " n"]
    layers: Int[Tensor, " n"]
    pixels: Float[Tensor, "n 2"]

    def select(self, keep: Bool[Tensor, " n"]) -> "Owners":
        """Of some of the Gaussians."""
        return Owners(**{f.name: getattr(self, f.name)[keep] for f in dataclasses.fields(self)})

    def joined(self, other: "Owners") -> "Owners":
        """Of these Gaussians and of others behind them."""
        return Owners(
            **{f.name: torch.cat([getattr(o, f.name) for o in (self, other)]) for f in dataclasses.fields(self)}
        )


def layer_bounds(prior: GeometryPrior, layers: int) -> Float[Tensor, "view bound"]:
    """Depths that part each view's pixels of known depth into as many layers of equal numbers (as CoherentGS parts its photos)."""
    shares = torch.arange(1, layers) / layers
    rows = []
    for found in prior.depths:
        ordered = found.depth[found.depth > 0].sort().values
        if len(ordered) == 0:
            rows.append(torch.full_like(shares, torch.inf))
        else:
            rows.append(ordered[(shares * len(ordered)).long()].float())
    return torch.stack(rows)


def owners_of(params: GaussianParams, prior: GeometryPrior, bounds: Float[Tensor, "view bound"]) -> Owners:
    """The view whose depth agrees best with each Gaussian's; where none knows any, the one that looks most directly at it.

    Args:
        params: in the prior's world.
        prior: cameras and depth.
        bounds: as `layer_bounds` gives them.
    """
    means = params.means.detach()
    count = len(prior.cameras)
    cameras = prior.cameras.to(means.dtype)
    pixels, depths = project(cameras, means[None].expand(count, -1, -1))
    sizes = torch.tensor(cameras.sizes, dtype=means.dtype)
    places = (2 * pixels / sizes[:, None] - 1).nan_to_num(UNKNOWN).clamp(-UNKNOWN, UNKNOWN)
    errors = []
    for view, found in enumerate(prior.depths):
        known = torch.nn.functional.grid_sample(
            found.depth.to(means.dtype)[None, None], places[view][None, None], mode="nearest", align_corners=False
        ).reshape(-1)
        error = (depths[view] - known).abs() / torch.where(known > 0, known, 1.0)
        # A view that sees nothing there still comes before one that the Gaussian is farther outside of, or behind.
        outside = UNKNOWN * (1 + places[view].abs().amax(1))
        error = torch.where(known > 0, error.clamp(max=UNKNOWN), outside)
        errors.append(torch.where(depths[view] > 0, error, UNKNOWN**3))
    views = torch.stack(errors).argmin(0)
    each = torch.arange(len(means))
    layers = (depths[views, each][:, None] >= bounds.to(means.dtype)[views]).sum(1)
    return Owners(views, layers, places[views, each].clamp(-1, 1))
