"""Coarse, blurred Gaussians behind and beside what the photos show, so that a step aside does not open black holes.

A photo says nothing of what an object hides and of what lies outside its frame, and a viewpoint between two photos sees
some of both. There the background next to it is continued: at its depth, with its blurred colours, marked as seen by
nobody. It goes on behind what is the background itself, since a surface that was seen at a slant has gaps from closer by.
Nothing is placed where another photo shows something else or looks through, and what another photo may show has the mean
of both colours. A guess had better be smooth: one Gaussian stands for a large square wherever colours allow it.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from sparse3d.priors.backdrop_evidence import coloured_by_all, free_of_contradiction, within_frame
from sparse3d.priors.merging import Cells
from sparse3d.priors.stereo.plane_sweep import PosedImage


@dataclass(frozen=True)
class BackdropConfig:
    """Settings of `backdrop_cells`.

    Attributes:
        enabled: whether there is a backdrop at all.
        margin: how far it reaches beyond the photo's frame, in longer sides of the photo.
        cell_px: side of the smallest square that one Gaussian stands for, in pixels.
        flat_factor: how many times larger the square is where the colours in it are alike.
        flat_colour: range of colour within which they are.
        beside_factor: how many times larger it is beyond the photo's frame.
        window: side of the square in which the farthest depth counts as background, in longer sides of the photo.
        step: relative difference of inverse depth from which the background is another surface.
        dark: what is as far away as pixels darker than this (their lightest channel) is dark, too; 0 for off.
        behind: relative distance by which it stands behind the surface that it continues.
        opacity: of its Gaussians at the start; few of them stand behind one another.
        scale: their standard deviation in sides of their square, so wide that no gap shows between them.
        share: of all Gaussians, at most; cells grow until it holds.
    """

    enabled: bool = True
    margin: float = 0.35
    cell_px: int = 8
    flat_factor: int = 2
    flat_colour: float = 0.1
    beside_factor: int = 4
    window: float = 0.08
    step: float = 0.08
    dark: float = 0.1
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
    sure: Sequence[Bool[np.ndarray, "_h _w"]],
    config: BackdropConfig,
    *,
    max_gaussians: int,
) -> list[Cells]:
    """The backdrop of every view.

    Args:
        views: pictures, masks and cameras.
        inverses: inverse depth of each view, 0 where unknown.
        sure: where it was seen rather than filled in, so that it does hide what is behind it.
        config: settings.
        max_gaussians: of the whole scene; the backdrop takes its share of it at most.

    Returns:
        One set of cells a view, in the view's pixels; those outside its frame have coordinates outside of it. Empty
        where even the largest cells are too many.
    """
    for side in (config.cell_px, 2 * config.cell_px, 4 * config.cell_px):
        sized = dataclasses.replace(config, cell_px=side)
        layers = [_layer(view, inverse, sized) for view, inverse in zip(views, inverses, strict=True)]
        cells = [free_of_contradiction(i, layers[i], views, inverses, behind=config.behind) for i in range(len(views))]
        if sum(len(cell.x) for cell in cells) <= config.share * max_gaussians:
            return coloured_by_all(cells, views, inverses, sure)
    return []


def _layer(view: PosedImage, inverse: Float32[np.ndarray, "h w"], config: BackdropConfig) -> Cells:
    """The backdrop of one view by itself: small squares where its colours change, large ones elsewhere and beyond its
    frame."""
    width, height = view.size
    known = (inverse > 0) & view.mask
    background = _farthest_around(inverse, known, max(3, int(config.window * max(width, height)) | 1))
    belongs = known & (inverse <= (1 + config.step) * background)
    planes = np.concatenate([view.colour, background[..., None]], -1)
    flat_px, beside_px = config.flat_factor * config.cell_px, config.beside_factor * config.cell_px
    fine, flat, beside = (_grid(planes, belongs, px, config) for px in (config.cell_px, flat_px, beside_px))
    fine, flat, beside = (
        fine.select(within_frame(fine, view)),
        flat.select(within_frame(flat, view)),
        beside.select(~within_frame(beside, view)),
    )
    alike = _alike(fine, flat_px, (-(-height // flat_px), -(-width // flat_px)), config.flat_colour)
    return Cells.concatenate(
        [fine.select(~_looked_up(alike, fine, flat_px)), flat.select(_looked_up(alike, flat, flat_px)), beside]
    )


def _alike(cells: Cells, side: int, shape: tuple[int, int], tolerance: float) -> Bool[np.ndarray, "rows columns"]:
    """In which squares of a coarser grid the cells have one colour."""
    low, high = np.full((*shape, 3), np.inf), np.full((*shape, 3), -np.inf)
    place = (cells.y // side).astype(int), (cells.x // side).astype(int)
    np.minimum.at(low, place, cells.colour)
    np.maximum.at(high, place, cells.colour)
    return (high - low).max(-1) <= tolerance


def _looked_up(squares: Bool[np.ndarray, "rows columns"], cells: Cells, side: int) -> Bool[np.ndarray, " n"]:
    """What holds for the square that each cell's centre is in."""
    return squares[(cells.y // side).astype(int), (cells.x // side).astype(int)]


def _grid(
    planes: Float32[np.ndarray, "h w 4"], belongs: Bool[np.ndarray, "h w"], side: int, config: BackdropConfig
) -> Cells:
    """Background colour and inverse depth on a grid that reaches beyond the frame."""
    pad = int(np.ceil(config.margin * max(belongs.shape) / side))
    filled = _filled(planes, belongs, side, pad)
    colours = _with_darkness(filled, planes, belongs, side, pad, config)
    ys, xs = np.nonzero(filled[..., 3] > 0)
    count = len(xs)
    depth = (1 + config.behind) / filled[ys, xs, 3]
    return Cells(
        x=((xs - pad + 0.5) * side).astype(np.float32),
        y=((ys - pad + 0.5) * side).astype(np.float32),
        side=np.full(count, side, np.float32),
        depth=depth.astype(np.float32),
        normal=np.broadcast_to(np.array([0, 0, -1], np.float32), (count, 3)).copy(),
        colour=colours[ys, xs].astype(np.float32),
        confidence=np.full(count, BACKDROP_CONFIDENCE, np.float32),
        support=np.zeros(count, np.int64),
    )


def _filled(
    planes: Float32[np.ndarray, "h w c"], counts: Bool[np.ndarray, "h w"], side: int, pad: int
) -> Float32[np.ndarray, "rows columns c"]:
    """Means over squares of the pixels that count, continued where none does and `pad` squares beyond the frame."""
    means, weight = _cell_means(planes, counts, side)
    return _push_pull(np.pad(means, ((pad, pad), (pad, pad), (0, 0))), np.pad(weight, pad))


def _with_darkness(
    filled: Float32[np.ndarray, "rows columns 4"],
    planes: Float32[np.ndarray, "h w 4"],
    belongs: Bool[np.ndarray, "h w"],
    side: int,
    pad: int,
    config: BackdropConfig,
) -> Float32[np.ndarray, "rows columns 3"]:
    """Colours of the squares: dark where they are as far as darkness.

    Colours are continued from all around, so that behind the rim of a bright object before darkness they are mixed of both, and
    stand beside it as pale rags when seen from elsewhere. So they are continued once more from the pixels at about their own depth
    alone, and where that is dark they are. Other colours stay mixed: a guess had better be smooth.
    """
    colours = filled[..., :3].copy()
    darkness = belongs & (planes[..., :3].max(-1) < config.dark)
    if not darkness.any():
        return colours
    logs = np.log(planes[..., 3], out=np.full(belongs.shape, np.nan, np.float32), where=belongs)
    low, high = np.nanpercentile(logs, OUTLYING), np.nanpercentile(logs, 100 - OUTLYING)
    count = int(np.clip(np.ceil((high - low) / np.log1p(config.step)), 1, MAX_LAYERS))
    thickness = max((high - low) / count, np.log1p(config.step) / MAX_LAYERS)
    layer = np.clip((np.log(np.maximum(filled[..., 3], 1 / UNKNOWN)) - low) // thickness, 0, count - 1)
    for i in range(count):
        of_layer = layer == i
        near = belongs & (np.abs(logs - (low + (i + 0.5) * thickness)) <= LAYER_REACH * thickness)
        if of_layer.any() and near.mean() >= MIN_LAYER and (near & darkness).any():
            own = _filled(planes[..., :3], near, side, pad)
            dark = of_layer & (own.max(-1) < config.dark)
            colours[dark] = own[dark]
    return colours


OUTLYING = 0.5
"""Percentile of the background's depths at which the layers begin and end."""

MAX_LAYERS = 24
"""Of depth, each filled by itself."""

LAYER_REACH = 1.5
"""Pixels count for a layer within so many of its thickness of its middle: its neighbours' too."""

MIN_LAYER = 0.002
"""Share of the photo from which a layer's own pixels colour it."""


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
