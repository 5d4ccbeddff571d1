"""Coarse, blurred Gaussians behind and beside what the photos show, so that a step aside does not open black holes.

A photo says nothing of what an object hides and of what lies outside its frame, and a viewpoint between two photos sees
some of both. There the background next to it is continued: at its depth, with its blurred colours, marked as seen by
nobody. It goes on behind what is the background itself, since a surface that was seen at a slant has gaps from closer by.
Nothing is placed where another photo shows something else or looks through.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from sparse3d.priors.merging import Cells
from sparse3d.priors.stereo.plane_sweep import PosedImage


@dataclass(frozen=True)
class BackdropConfig:
    """Settings of `backdrop_cells`.

    Attributes:
        enabled: whether there is a backdrop at all.
        margin: how far it reaches beyond the photo's frame, in longer sides of the photo.
        cell_px: side of the square that one Gaussian stands for, in pixels.
        window: side of the square in which the farthest depth counts as background, in longer sides of the photo.
        step: relative difference of inverse depth from which the background is another surface.
        behind: relative distance by which it stands behind the surface that it continues.
        opacity: of its Gaussians at the start; few of them stand behind one another.
        scale: their standard deviation in sides of their square, so wide that no gap shows between them.
        share: of all Gaussians, at most; cells grow until it holds.
    """

    enabled: bool = True
    margin: float = 0.35
    cell_px: int = 8
    window: float = 0.08
    step: float = 0.08
    behind: float = 0.01
    opacity: float = 0.9
    scale: float = 0.84
    share: float = 0.3


UNKNOWN = np.float32(1e30)
"""Stands for the inverse depth of unknown pixels where the smallest is looked for."""

BACKDROP_CONFIDENCE = 0.02
"""Lower than that of completed depth: nobody saw it, and the optimiser may move it freely."""


def backdrop_cells(
    views: Sequence[PosedImage],
    inverses: Sequence[Float32[np.ndarray, "_h _w"]],
    config: BackdropConfig,
    *,
    max_gaussians: int,
) -> list[Cells]:
    """The backdrop of every view.

    Args:
        views: pictures, masks and cameras.
        inverses: inverse depth of each view, 0 where unknown.
        config: settings.
        max_gaussians: of the whole scene; the backdrop takes its share of it at most.

    Returns:
        One set of cells a view, in the view's pixels; those outside its frame have coordinates outside of it. Empty
        where even the largest cells are too many.
    """
    for side in (config.cell_px, 2 * config.cell_px, 4 * config.cell_px):
        sized = dataclasses.replace(config, cell_px=side)
        layers = [_layer(view, inverse, sized) for view, inverse in zip(views, inverses, strict=True)]
        cells = [_free_of_contradiction(i, layers[i], views, inverses, sized) for i in range(len(views))]
        if sum(len(cell.x) for cell in cells) <= config.share * max_gaussians:
            return cells
    return []


def _layer(view: PosedImage, inverse: Float32[np.ndarray, "h w"], config: BackdropConfig) -> Cells:
    """Background depth and colour of one view on a coarse grid that reaches beyond its frame."""
    width, height = view.size
    known = (inverse > 0) & view.mask
    background = _farthest_around(inverse, known, max(3, int(config.window * max(width, height)) | 1))
    belongs = known & (inverse <= (1 + config.step) * background)
    pad = int(np.ceil(config.margin * max(width, height) / config.cell_px))
    planes = np.concatenate([view.colour, background[..., None]], -1)
    coarse, weight = _cell_means(planes, belongs, config.cell_px)
    filled = _push_pull(*(np.pad(x, ((pad, pad), (pad, pad)) + ((0, 0),) * (x.ndim - 2)) for x in (coarse, weight)))
    ys, xs = np.nonzero(filled[..., 3] > 0)
    count = len(xs)
    depth = (1 + config.behind) / filled[ys, xs, 3]
    return Cells(
        x=((xs - pad + 0.5) * config.cell_px).astype(np.float32),
        y=((ys - pad + 0.5) * config.cell_px).astype(np.float32),
        side=np.full(count, config.cell_px, np.float32),
        depth=depth.astype(np.float32),
        normal=np.broadcast_to(np.array([0, 0, -1], np.float32), (count, 3)).copy(),
        colour=filled[ys, xs, :3].astype(np.float32),
        confidence=np.full(count, BACKDROP_CONFIDENCE, np.float32),
        support=np.zeros(count, np.int64),
    )


def _farthest_around(
    inverse: Float32[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"], window: int
) -> Float32[np.ndarray, "h w"]:
    """Smallest inverse depth in a window, single wrong pixels aside; 0 where nothing near is known."""
    smooth = cv2.medianBlur(np.where(known, inverse, 0).astype(np.float32), 5)
    smooth = np.where(known & (smooth > 0), smooth, np.where(known, inverse, UNKNOWN)).astype(np.float32)
    farthest = cv2.erode(smooth, np.ones((window, window), np.uint8))
    farthest = np.where(farthest < UNKNOWN, farthest, 0).astype(np.float32)
    return cv2.blur(farthest, (window, window))


def _cell_means(
    planes: Float32[np.ndarray, "h w c"], counts: Bool[np.ndarray, "h w"], side: int
) -> tuple[Float32[np.ndarray, "rows columns c"], Float32[np.ndarray, "rows columns"]]:
    """Means over squares of the pixels that count, and the share of these."""
    height, width = counts.shape
    rows, columns = -(-height // side), -(-width // side)
    grow = ((0, rows * side - height), (0, columns * side - width))
    weight = np.pad(counts.astype(np.float32), grow).reshape(rows, side, columns, side)
    values = np.pad(planes, (*grow, (0, 0))).reshape(rows, side, columns, side, -1)
    share = weight.sum((1, 3))
    means = (values * weight[..., None]).sum((1, 3)) / np.maximum(share, 1)[..., None]
    return means.astype(np.float32), share / side**2


def _push_pull(
    values: Float32[np.ndarray, "h w c"], weight: Float32[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w c"]:
    """Fill what has no weight from its surroundings, smoother the farther away (Gortler et al. 1996, section 3.3)."""
    clipped = np.minimum(weight, 1)[..., None]
    if clipped.min() > FULL_WEIGHT or min(weight.shape) <= 1:
        return values
    size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
    small_weight = cv2.resize(clipped[..., 0], size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(values * clipped, size, interpolation=cv2.INTER_AREA)
    small = small / np.maximum(small_weight, 1e-6)[..., None]
    # Any weight at all makes a coarser cell count fully: it is the only evidence there.
    below = _push_pull(small.astype(np.float32), np.where(small_weight > 1e-3, 1, 0).astype(np.float32))
    grown = cv2.resize(below, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
    return (clipped * values + (1 - clipped) * grown).astype(np.float32)


FULL_WEIGHT = 0.999
"""A cell with this share of pixels needs nothing from its surroundings."""


def _free_of_contradiction(
    index: int,
    cells: Cells,
    views: Sequence[PosedImage],
    inverses: Sequence[Float32[np.ndarray, "_h _w"]],
    config: BackdropConfig,
) -> Cells:
    """Without the cells that another view sees in front of its surface, and those beside the frame that it shows itself."""
    view = views[index]
    pixels = np.stack([cells.x, cells.y, np.ones_like(cells.x)], -1)
    points_cam = (pixels @ np.linalg.inv(view.K).T) * cells.depth[:, None]
    points = (points_cam - view.cam_from_world[:3, 3]) @ view.cam_from_world[:3, :3]
    width, height = view.size
    beside = (cells.x < 0) | (cells.y < 0) | (cells.x >= width) | (cells.y >= height)
    keep = np.ones(len(cells.x), bool)
    for other, (there, inverse) in enumerate(zip(views, inverses, strict=True)):
        if other == index:
            continue
        seen = points @ there.cam_from_world[:3, :3].T + there.cam_from_world[:3, 3]
        depth = np.maximum(seen[:, 2], 1e-9)
        x, y = (seen[:, k] / depth * there.K[k, k] + there.K[k, 2] for k in (0, 1))
        inside = (seen[:, 2] > 0) & (x >= 0) & (y >= 0) & (x < there.size[0]) & (y < there.size[1])
        column, row = (np.clip(v, 0, top - 1).astype(int) for v, top in zip((x, y), there.size, strict=True))
        known = inside & (inverse[row, column] > 0)
        in_front = known & (1 / depth > (1 + config.behind) * inverse[row, column])
        keep &= ~(in_front | (known & beside))
    return Cells(**{name: getattr(cells, name)[keep] for name in Cells.__dataclass_fields__})
