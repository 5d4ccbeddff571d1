"""Learned matching costs for the first pass: how unlike XFeat's descriptors are along the swept planes.

Correlation of small windows cannot tell repeated or faint texture apart, nor what is blurred or seen at another slant; a descriptor
sees farther around and was trained to match such things, but it is coarse. The two costs are mixed: the idea of learned
costs before semi-global matching (Zbontar & LeCun, JMLR 2016), with descriptors that were trained for sparse matching.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample

from sparse3d.priors.stereo import xfeat
from sparse3d.priors.stereo.plane_sweep import COST_LEVELS, PosedImage, RayTransfer, combine_costs

ALIKE, UNLIKE = 0.9, 0.1
"""Cosine between descriptors at which the cost is 0, and 1: matches and chance have about these."""

PLANE_STRIDE = 3
"""One plane in so many is looked at, and the costs between are interpolated: descriptors change slowly."""

DARK = 0.1
"""Pixels whose lightest channel is below this are dark: as dark as what is dropped for it (`initialise.black`)."""

DARK_RADIUS, DARK_SHARE = 0.05, 0.25
"""Within so many longer sides around a pixel, what share of dark pixels rules descriptors out. Darkness has none of its own:
they carry the rim of the object before it out into it."""

CELLS_MULTIPLE = xfeat.SIDE_MULTIPLE // xfeat.DESCRIPTOR_PX
"""Descriptors' grids have sides that are multiples of this."""


@dataclass(frozen=True)
class DescribedView:
    """A view with its dense descriptors.

    Attributes:
        grid: the view at the descriptors' resolution.
        descriptors: of unit length, on the CPU.
    """

    grid: PosedImage
    descriptors: Float[Tensor, "c h w"]


def describe_view(view: PosedImage, enlarged: float) -> DescribedView:
    """Descriptors of a view whose picture is made larger or smaller by a factor first."""
    factor = enlarged / (xfeat.DESCRIPTOR_PX * CELLS_MULTIPLE)
    width, height = (CELLS_MULTIPLE * max(1, round(side * factor)) for side in view.size)
    grid = view.resized((width, height))
    size = (width * xfeat.DESCRIPTOR_PX, height * xfeat.DESCRIPTOR_PX)
    picture = cv2.resize(view.colour, size, interpolation=cv2.INTER_CUBIC if enlarged > 1 else cv2.INTER_AREA)
    return DescribedView(grid, xfeat.dense_descriptors(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)))


def descriptor_costs(
    view: DescribedView, neighbours: Sequence[DescribedView], inverses: Float[np.ndarray, " n"]
) -> Float32[np.ndarray, "n h w"]:
    """Cost in [0, 1] of planes of constant inverse depth, over all neighbours, at the descriptors' resolution."""
    transfers = [RayTransfer.between(view.grid, other.grid) for other in neighbours]
    volume = np.empty((len(inverses), *view.grid.grey.shape), np.float32)
    for plane, inverse in enumerate(inverses):
        found = [_cost(view, *pair, float(inverse)) for pair in zip(neighbours, transfers, strict=True)]
        volume[plane] = combine_costs([cost for cost, _ in found], [seen for _, seen in found])
    return volume


def _cost(
    view: DescribedView, other: DescribedView, transfer: RayTransfer, inverse: float
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Cost against one neighbour, and where that sees the plane (0 or 1)."""
    x, y, _ = transfer.coordinates(inverse)
    width, height = other.grid.size
    seen = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    if not other.grid.mask.all():
        seen &= cv2.remap(other.grid.mask.astype(np.uint8), x, y, cv2.INTER_NEAREST) > 0
    at = np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    where = torch.from_numpy(np.clip(at, -2, 2).astype(np.float32))[None]
    with torch.inference_mode():
        there = grid_sample(other.descriptors[None], where, padding_mode="border", align_corners=False)[0]
        cosine = (there * view.descriptors).sum(0) / there.norm(dim=0).clamp_min(1e-6)
    cost = np.clip((ALIKE - cosine.numpy()) / (ALIKE - UNLIKE), 0, 1)
    return cost.astype(np.float32), seen.astype(np.float32)


def away_from_darkness(view: PosedImage) -> Float32[np.ndarray, "h w"]:
    """How much descriptors count at each pixel, 1 where nothing around is dark."""
    dark = (cv2.blur(view.colour.max(axis=-1), (5, 5)) < DARK).astype(np.float32)
    side = 2 * round(DARK_RADIUS * max(view.size)) + 1
    return (1 - np.minimum(cv2.blur(dark, (side, side)) / DARK_SHARE, 1)).astype(np.float32)


def mix_costs(
    volume: UInt8[np.ndarray, "h d w"], costs: Float32[np.ndarray, "n h2 w2"], weight: Float32[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h d w"]:
    """A cost volume in `COST_LEVELS` with coarser costs of the same range mixed in; what has the cost 1 everywhere keeps it.

    Args:
        weight: share of the coarser costs at each pixel, in [0, 1].
    """
    height, planes, width = volume.shape
    mixed = np.empty_like(volume)
    for plane, position in enumerate(np.linspace(0, len(costs) - 1, planes)):
        below = min(int(position), len(costs) - 2)
        between = np.float32(position - below)
        coarse = costs[below] + between * (costs[below + 1] - costs[below])
        cost = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(COST_LEVELS)
        mixed[:, plane] = (weight * cost + (1 - weight) * volume[:, plane] + np.float32(0.5)).astype(np.uint8)
    return np.where(volume.min(axis=1, keepdims=True) == COST_LEVELS, volume, mixed)


def plane_count(planes: int) -> int:
    """How many of so many planes descriptors are compared at, both ends included."""
    return max(2, -(-(planes - 1) // PLANE_STRIDE) + 1)
