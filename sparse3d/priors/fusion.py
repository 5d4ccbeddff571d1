"""From depth maps to the first Gaussians: redundant pixels are pruned, flat ones merged, the rest become small flat
discs.

Co-visibility pruning follows InstantSplat (Fan et al. 2024): views are ranked by mean confidence, and what a better
view already explains is dropped from the lesser ones. Free space is respected: filled-in depth may not hang in front
of what another view saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.core.se3 import rotation_to_quat_wxyz
from sparse3d.priors.stereo.completion import depth_edges
from sparse3d.priors.stereo.consistency import AgreementConfig, Comparison, compare
from sparse3d.priors.stereo.plane_sweep import PosedImage


@dataclass(frozen=True)
class InitialiseConfig:
    """Settings of `initialise_gaussians`.

    Attributes:
        max_gaussians: budget; regions of constant colour and smooth depth are merged until it holds.
        explained_depth: relative difference of depth within which a better view explains a pixel.
        comparable_confidence: the better view's confidence there must be at least this share of the pixel's own.
        comparable_footprint: the better view's pixel may be at most this many times larger on the surface.
        free_space: relative distance by which filled-in depth may lie in front of what another view saw.
        observed_confidence: confidence from which a pixel counts as seen rather than filled in.
        unlike_colour: filled-in depth is dropped, too, where another view that should see it shows a colour this
            different.
        opacity: of a confident Gaussian at the start.
        scale_px: standard deviation in pixels of a Gaussian made from one pixel.
        thickness: standard deviation along the normal relative to the one across.
        max_stretch: how much a slanted disc may be longer than wide.
        colour_tolerance: range of colour in a region that is merged even when the budget does not ask for it.
    """

    max_gaussians: int = 200_000
    explained_depth: float = 0.015
    comparable_confidence: float = 0.7
    comparable_footprint: float = 1.5
    free_space: float = 0.03
    observed_confidence: float = 0.25
    unlike_colour: float = 0.3
    opacity: float = 0.9
    scale_px: float = 0.6
    thickness: float = 0.2
    max_stretch: float = 3.0
    colour_tolerance: float = 0.02


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


def initialise_gaussians(prior: GeometryPrior, config: InitialiseConfig) -> GaussianParams:
    """The Gaussians that a reconstruction starts from: spherical harmonics of degree 0, flat discs along the surface.

    Args:
        prior: cameras, depth with confidence, and images of every view.
        config: settings.

    Returns:
        At most `config.max_gaussians`, with their confidence and number of observing views.

    Raises:
        ValueError: no pixel of any view has a depth.
    """
    views = posed_images(prior)
    keep = covisible_pruning(prior, views, config)
    cells = _within_budget(prior, views, keep, config)
    parts = [_discs(view, cell, config) for view, cell in zip(views, cells, strict=True) if len(cell.x)]
    if not parts:
        raise ValueError("no pixel of any view has a depth: nothing to make Gaussians from")
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return GaussianParams(**columns)


def posed_images(prior: GeometryPrior) -> list[PosedImage]:
    """The views of a prior as the stereo stages use them."""
    return [
        PosedImage.build(
            prior.images[i].float().numpy(),
            prior.masks[i].numpy() > 0.5,
            prior.cameras.K[i].double().numpy(),
            prior.cameras.cam_from_world[i].double().numpy(),
        )
        for i in range(len(prior.cameras))
    ]


def covisible_pruning(
    prior: GeometryPrior, views: Sequence[PosedImage], config: InitialiseConfig
) -> list[Bool[np.ndarray, "_h _w"]]:
    """Which pixels of each view stay: those with depth that no better view explains and that no view sees through."""
    depths = [np.where(view.mask, found.depth.numpy(), 0) for view, found in zip(views, prior.depths, strict=True)]
    inverses = [_inverse(z) for z in depths]
    confidences = [
        np.where(z > 0, d.confidence.numpy(), 0).astype(np.float32) for z, d in zip(depths, prior.depths, strict=True)
    ]
    ranking = sorted(range(len(views)), key=lambda i: -float(confidences[i].mean()))
    tolerance = AgreementConfig(pixel_error=2.0, relative_depth=config.explained_depth)
    blurred = [cv2.blur(view.colour, (5, 5)) for view in views]
    keep = [z > 0 for z in depths]
    for rank, i in enumerate(ranking):
        filled_in = confidences[i] < config.observed_confidence
        for other_rank, j in enumerate(ranking):
            if i == j:
                continue
            found = compare(views[i], inverses[i], views[j], inverses[j], confidences[j], tolerance)
            if other_rank < rank:
                keep[i] &= ~_explained(views[i], views[j], inverses[i], confidences[i], found, config)
            ahead = found.in_front & (inverses[i] > (1 + config.free_space) * found.inverse_depth)
            seen_through = found.confidence >= config.observed_confidence
            unlike = cv2.remap(blurred[j], found.x, found.y, cv2.INTER_LINEAR) - blurred[i]
            seen_through |= np.abs(unlike).max(-1) > config.unlike_colour
            keep[i] &= ~(filled_in & ahead & seen_through)
    return keep


def _explained(
    view: PosedImage,
    better: PosedImage,
    inverse: Float32[np.ndarray, "h w"],
    confidence: Float32[np.ndarray, "h w"],
    found: Comparison,
    config: InitialiseConfig,
) -> Bool[np.ndarray, "h w"]:
    """Where a better view shows the same surface as surely and as finely."""
    present = found.seen & (found.confidence > 0)
    depth = 1 / np.where(inverse > 0, inverse, 1)
    forward = better.cam_from_world[2, :3] @ view.cam_from_world[:3, :3].T
    offset = better.cam_from_world[2, 3] - forward @ view.cam_from_world[:3, 3]
    rays = _rays(view)
    there = (rays @ forward.astype(np.float32)) * depth + np.float32(offset)
    finer = there / better.K[0, 0] <= config.comparable_footprint * depth / view.K[0, 0]
    return found.agrees & present & finer & (found.confidence >= config.comparable_confidence * confidence)


def _rays(view: PosedImage) -> Float32[np.ndarray, "h w 3"]:
    """Directions of the pixel centres in camera axes, with z = 1."""
    width, height = view.size
    xs, ys = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([xs, ys, np.ones_like(xs)], -1)
    return (pixels @ np.linalg.inv(view.K).T).astype(np.float32)


def _within_budget(
    prior: GeometryPrior, views: Sequence[PosedImage], keep: Sequence[np.ndarray], config: InitialiseConfig
) -> list[Cells]:
    """Merge pixels into cells, with a colour tolerance that grows until the number of cells is within the budget."""
    inverses = [_inverse(found.depth.numpy()) for found in prior.depths]
    squares = [_squares(view, u, kept) for view, u, kept in zip(views, inverses, keep, strict=True)]
    tolerance = config.colour_tolerance
    while True:
        tiles = [_tiles(square, kept, tolerance) for square, kept in zip(squares, keep, strict=True)]
        if sum(np.count_nonzero(tile) for tile in tiles) <= config.max_gaussians or tolerance > MAX_TOLERANCE:
            break
        tolerance *= TOLERANCE_GROWTH
    cells = [_cells(prior, views[i], i, tiles[i]) for i in range(len(views))]
    excess = sum(len(cell.x) for cell in cells) / config.max_gaussians
    return cells if excess <= 1 else [_thinned(cell, excess) for cell in cells]


def _inverse(depth: Float[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
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
    inverse = _inverse(found.depth.numpy())
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
    rays = _rays(view)
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
    fields = {name: getattr(cells, name)[pick] for name in cells.__dataclass_fields__}
    fields["side"] = (fields["side"] * np.float32(np.sqrt(excess))).astype(np.float32)
    return Cells(**fields)


def _discs(view: PosedImage, cells: Cells, config: InitialiseConfig) -> dict[str, Tensor]:
    """The columns of `GaussianParams` for the cells of one view."""
    focal = 0.5 * (view.K[0, 0] + view.K[1, 1])
    pixels = np.stack([cells.x, cells.y, np.ones_like(cells.x)], -1)
    rays = (pixels @ np.linalg.inv(view.K).T).astype(np.float32)
    rotation = view.cam_from_world[:3, :3]
    means = (rays * cells.depth[:, None] - view.cam_from_world[:3, 3]) @ rotation
    toward = -rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    normal = cells.normal / np.maximum(np.linalg.norm(cells.normal, axis=-1, keepdims=True), 1e-12)
    cosine = np.clip((normal * toward).sum(-1), 1 / config.max_stretch, 1)
    across = np.cross(normal, toward)
    sine = np.linalg.norm(across, axis=-1, keepdims=True)
    fallback = np.cross(normal, np.where(np.abs(normal[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    across = np.where(sine > 1e-3, across, fallback)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    along = np.cross(normal, across)
    axes = np.stack([across, along, normal], -1)
    size = cells.depth / focal * config.scale_px * cells.side
    scales = np.stack([size, size / cosine, size * config.thickness], -1)
    count = len(cells.x)
    logit = float(np.log(config.opacity / (1 - config.opacity)))
    as_float: Float[Tensor, "n 3"] = torch.from_numpy(means.astype(np.float32))
    return {
        "means": as_float,
        "quats_wxyz": rotation_to_quat_wxyz(torch.from_numpy(rotation.T @ axes)).float(),
        "log_scales": torch.from_numpy(np.log(np.maximum(scales, 1e-12)).astype(np.float32)),
        "logit_opacities": torch.full((count,), logit),
        "sh": colour_to_sh0(torch.from_numpy(cells.colour)),
        "confidence": torch.from_numpy(cells.confidence),
        "observations": torch.from_numpy(np.where(cells.support > 0, cells.support + 1, 0)),
    }
