"""What the other photos say of one photo's backdrop: where it cannot be, and what colour it has."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int

from sparse3d.priors.merging import Cells
from sparse3d.priors.stereo.plane_sweep import PosedImage


@dataclass(frozen=True)
class _Sight:
    """Cells of one view in another one.

    Attributes:
        inside: which cells fall into its frame, in front of it.
        column, row: the pixel, clamped to the frame.
        inverse: inverse depth of each cell there.
    """

    inside: Bool[np.ndarray, " n"]
    column: Int[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]
    inverse: Float32[np.ndarray, " n"]


def within_frame(cells: Cells, view: PosedImage) -> Bool[np.ndarray, " n"]:
    """Which cells have their centre within the photo."""
    width, height = view.size
    return (cells.x >= 0) & (cells.y >= 0) & (cells.x < width) & (cells.y < height)


def free_of_contradiction(
    index: int,
    cells: Cells,
    views: Sequence[PosedImage],
    inverses: Sequence[Float32[np.ndarray, "_h _w"]],
    *,
    behind: float,
) -> Cells:
    """Without the cells that another view sees in front of its surface, and those beside the frame that it shows itself.

    Args:
        index: whose cells they are.
        cells: of this view, also beyond its frame.
        views, inverses: all views with their inverse depth, 0 where unknown.
        behind: relative distance that counts as in front.
    """
    beside = ~within_frame(cells, views[index])
    keep = np.ones(len(cells.x), bool)
    for other, (view, inverse) in enumerate(zip(views, inverses, strict=True)):
        if other == index:
            continue
        sight = _sight(cells, views[index], view)
        there = inverse[sight.row, sight.column]
        known = sight.inside & (there > 0)
        in_front = known & (sight.inverse > (1 + behind) * there)
        keep &= ~(in_front | (known & beside))
    return cells.select(keep)


def coloured_by_all(
    layers: Sequence[Cells],
    views: Sequence[PosedImage],
    inverses: Sequence[Float32[np.ndarray, "_h _w"]],
    sure: Sequence[Bool[np.ndarray, "_h _w"]],
) -> list[Cells]:
    """Give each cell of every view the mean of its own colour and of what the other photos show in its place, unless a
    surface that they are sure of hides it there."""
    colours = [cells.colour.astype(np.float64) for cells in layers]
    counts = [np.ones(len(cells.x)) for cells in layers]
    for other, view in enumerate(views):
        blurred = {  # once for all the views whose cells look it up
            side: cv2.GaussianBlur(view.colour, (0, 0), float(side) / 2)
            for side in np.unique(np.concatenate([cells.side for cells in layers]))
        }
        for index, cells in enumerate(layers):
            if index == other:
                continue
            sight = _sight(cells, views[index], view)
            there = inverses[other][sight.row, sight.column]
            looks = sight.inside & ~(sure[other][sight.row, sight.column] & (there > (1 + HIDES) * sight.inverse))
            for side, picture in blurred.items():
                chosen = looks & (cells.side == side)
                colours[index][chosen] += picture[sight.row[chosen], sight.column[chosen]]
            counts[index] += looks
    return [
        cells.replace(colour=(colour / count[:, None]).astype(np.float32))
        for cells, colour, count in zip(layers, colours, counts, strict=True)
    ]


HIDES = 0.03
"""Relative distance by which a surface must stand before a cell to hide it."""


def _sight(cells: Cells, view: PosedImage, there: PosedImage) -> _Sight:
    """The cells of one view in another."""
    pixels = np.stack([cells.x, cells.y, np.ones_like(cells.x)], -1)
    points_cam = (pixels @ np.linalg.inv(view.K).T) * cells.depth[:, None]
    points = (points_cam - view.cam_from_world[:3, 3]) @ view.cam_from_world[:3, :3]
    seen = points @ there.cam_from_world[:3, :3].T + there.cam_from_world[:3, 3]
    depth = np.maximum(seen[:, 2], 1e-9)
    x, y = (seen[:, k] / depth * there.K[k, k] + there.K[k, 2] for k in (0, 1))
    inside = (seen[:, 2] > 0) & (x >= 0) & (y >= 0) & (x < there.size[0]) & (y < there.size[1])
    column, row = (np.clip(v, 0, top - 1).astype(int) for v, top in zip((x, y), there.size, strict=True))
    return _Sight(inside, column, row, (1 / depth).astype(np.float32))
