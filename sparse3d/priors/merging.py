"""Merge pixels of constant colour on smooth surfaces into squares, so that the number of Gaussians suits the
machine."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.priors.stereo.completion import depth_edges
from sparse3d.priors.stereo.plane_sweep import PosedImage


@dataclass(frozen=True)
class Cells:
    """Square groups of pixels of one view that become a Gaussian each.

    Attributes:
        x, y: the centre in pixels, pixel centres at +0.5.
        side: of the square, in pixels.
        depth: z-depth at the centre.
        normal: in camera axes, towards the camera.
        colour: mean, in [0, 1].
        confidence: mean.
        support: the rounded mean of the number of views that agree.
    """

    x: Float32[np.ndarray, " n"]
    y: Float32[np.ndarray, " n"]
    side: Float32[np.ndarray, " n"]
    depth: Float32[np.ndarray, " n"]
    normal: Float32[np.ndarray, "n 3"]
    colour: Float32[np.ndarray, "n 3"]
    confidence: Float32[np.ndarray, " n"]
    support: Int[np.ndarray, " n"]

    def select(self, which: Bool[np.ndarray, " n"] | Int[np.ndarray, " k"]) -> "Cells":
        """Some of them, by mask or index."""
        return Cells(**{name: getattr(self, name)[which] for name in self.__dataclass_fields__})

    def replace(self, **columns: np.ndarray) -> "Cells":
        """The same with other values in some columns."""
        return dataclasses.replace(self, **columns)

    @staticmethod
    def concatenate(parts: Sequence["Cells"]) -> "Cells":
        """All of several sets."""
        return Cells(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Cells.__dataclass_fields__}
        )


def within_budget(
    prior: GeometryPrior, views: Sequence[PosedImage], keep: Sequence[np.ndarray], max_gaussians: int, tolerance: float
) -> list[Cells]:
    """Merge pixels into cells, with a colour tolerance that grows until the number of cells is within the budget.

    Args:
        prior, views: depth, confidence and pictures of every view.
        keep: pixels that become Gaussians.
        max_gaussians: the budget.
        tolerance: range of colour in a square that is merged even when the budget does not ask for it.
    """
    inverses = [inverse_of(found.depth.numpy()) for found in prior.depths]
    squares = [_squares(view, u, kept) for view, u, kept in zip(views, inverses, keep, strict=True)]
    while True:
        tiles = [_tiles(square, kept, tolerance) for square, kept in zip(squares, keep, strict=True)]
        if sum(np.count_nonzero(tile) for tile in tiles) <= max_gaussians or tolerance > MAX_TOLERANCE:
            break
        tolerance *= TOLERANCE_GROWTH
    cells = [_cells(prior, views[i], i, tiles[i]) for i in range(len(views))]
    excess = sum(len(cell.x) for cell in cells) / max_gaussians
    return cells if excess <= 1 else [_thinned(cell, excess) for cell in cells]


def inverse_of(depth: Float[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Inverse depth; 0 where the depth is unknown."""
    return np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), 0).astype(np.float32)


MAX_TOLERANCE, TOLERANCE_GROWTH = 2.0, 1.25
"""Beyond a range of 2 every region merges whatever its colours; the growth overshoots the budget by a few percent at
most."""

CELL_SIDES = (8, 4, 2)
"""Sides of the squares that are tried, largest first."""

DEPTH_TOLERANCE = 0.01
"""Relative deviation of inverse depth from a plane within a merged square: more than this would show as a shifted
edge."""


@dataclass(frozen=True)
class Squares:
    """The squares of one size that a view could be merged into: their range of colour and how bent their surface is."""

    side: int
    spread: Float32[np.ndarray, "rows columns"]
    bent: Float32[np.ndarray, "rows columns"]


def _blocks(image: np.ndarray, side: int) -> np.ndarray:
    """View an image as (row of squares, y within, column of squares, x within, ...), incomplete squares left out."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    return image[: rows * side, : columns * side].reshape(rows, side, columns, side, *image.shape[2:])


def _squares(view: PosedImage, inverse: Float32[np.ndarray, "h w"], keep: Bool[np.ndarray, "h w"]) -> list[Squares]:
    """What decides over merging, for every size; squares with a pixel that is not kept have an infinite range of
    colour."""
    curvature = np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) / np.maximum(inverse, 1e-12)
    found = []
    for side in CELL_SIDES:
        colour = _blocks(view.colour, side)
        spread = (colour.max((1, 3)) - colour.min((1, 3))).max(-1)
        spread = np.where(_blocks(keep, side).all((1, 3)), spread, np.float32(np.inf))
        found.append(Squares(side, spread.astype(np.float32), _blocks(curvature, side).max((1, 3)).astype(np.float32)))
    return found


def _tiles(squares: Sequence[Squares], keep: Bool[np.ndarray, "h w"], tolerance: float) -> Int[np.ndarray, "h w"]:
    """Side of the square whose top-left pixel this is, 0 for pixels inside of a square or not kept."""
    sides = keep.astype(np.int64)
    free = keep.copy()
    for square in squares:
        side = square.side
        bend = DEPTH_TOLERANCE * max(1, 10 * tolerance)
        merge = (square.spread <= tolerance) & (square.bent <= bend) & _blocks(free, side).all((1, 3))
        covered = np.repeat(np.repeat(merge, side, 0), side, 1)
        h, w = covered.shape
        sides[:h, :w][covered] = 0
        sides[:h:side, :w:side][merge] = side
        free[:h, :w] &= ~covered
    return sides


def _cells(prior: GeometryPrior, view: PosedImage, index: int, tiles: Int[np.ndarray, "h w"]) -> Cells:
    """Average each square of one view."""
    found = prior.depths[index]
    inverse = inverse_of(found.depth.numpy())
    normal = normals(view, inverse)
    planes = np.concatenate(
        [
            inverse[..., None],
            view.colour,
            found.confidence.numpy()[..., None],
            found.support.numpy()[..., None],
            normal,
        ],
        axis=-1,
    ).astype(np.float32)
    rows, columns, values = [], [], []
    for side in (1, *CELL_SIDES):
        y, x = np.nonzero(tiles == side)
        if len(y) == 0:
            continue
        mean = planes[y, x] if side == 1 else _square_means(planes, side)[y, x]
        rows.append(y + side / 2)
        columns.append(x + side / 2)
        values.append(np.concatenate([mean, np.full((len(y), 1), side, np.float32)], axis=1))
    if not rows:
        rows, columns, values = [np.zeros(0)], [np.zeros(0)], [np.zeros((0, 10), np.float32)]
    data = np.concatenate(values).astype(np.float32)
    return Cells(
        x=np.concatenate(columns).astype(np.float32),
        y=np.concatenate(rows).astype(np.float32),
        side=data[:, 9],
        depth=1 / np.maximum(data[:, 0], 1e-12),
        normal=data[:, 6:9],
        colour=np.clip(data[:, 1:4], 0, 1),
        confidence=np.clip(data[:, 4], 0, 1),
        support=np.rint(data[:, 5]).astype(np.int64),
    )


def _square_means(planes: Float32[np.ndarray, "h w c"], side: int) -> Float32[np.ndarray, "h w c"]:
    """Mean over the square of a given side whose top-left pixel is the pixel at hand (borders replicate)."""
    anchored = [cv2.boxFilter(planes[..., c], -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
                for c in range(planes.shape[2])]  # fmt: skip
    return np.stack(anchored, -1)


def normals(view: PosedImage, inverse: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w 3"]:
    """Unit normals in camera axes, towards the camera, from the gradient of smoothed inverse depth.

    A plane n.X = c has inverse depth n.ray / c, affine over the image, so that its coefficients are the normal. At
    depth edges, where the gradient means nothing, the normal faces the camera.
    """
    smooth = cv2.blur(inverse, (5, 5))
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8) * np.float32(view.K[0, 0])
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8) * np.float32(view.K[1, 1])
    rays = view.rays()
    normal = -np.stack([gx, gy, smooth - gx * rays[..., 0] - gy * rays[..., 1]], -1)
    facing = -rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    normal = np.where(length > 0, normal / np.maximum(length, 1e-12), facing)
    edge = cv2.dilate(depth_edges(inverse, 0.05).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    normal = np.where((edge | (inverse <= 0))[..., None], facing, normal)
    away = (normal * rays).sum(-1, keepdims=True) >= 0
    return np.where(away, facing, normal).astype(np.float32)


def _thinned(cells: Cells, excess: float) -> Cells:
    """Every so-manieth cell, spread evenly, a little larger, for budgets that merging cannot reach."""
    count = int(len(cells.x) / excess)
    pick = np.floor(np.arange(count) * excess).astype(int)
    thinned = cells.select(pick)
    return thinned.replace(side=(thinned.side * np.float32(np.sqrt(excess))).astype(np.float32))
