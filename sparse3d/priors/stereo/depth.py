"""Depth of every view from its neighbours: the geometry half of the built-in prior.

Two passes with the same steps. The first sweeps planes over the whole range of inverse depth at reduced resolution; the
second sweeps a narrow band around the surface so found at working resolution, which takes slanted surfaces into the
matching windows. Each pass smooths its costs by semi-global matching, compares the views with one another, and
completes what no second view confirms.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int32

from sparse3d.core.cameras import Cameras
from sparse3d.core.distortion import undistort_image, undistort_mask, undistorted_camera
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior, SparsePoints, ViewDepth
from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.completion import complete, remove_speckles, sharpen_edges
from sparse3d.priors.stereo.consistency import Agreement, AgreementConfig, agreement, compare, confidence_of
from sparse3d.priors.stereo.plane_sweep import COST_LEVELS, PosedImage, WindowMatcher, sweep
from sparse3d.priors.stereo.sgm import aggregate, best_hypothesis
from sparse3d.priors.stereo.view_selection import (
    DepthRange,
    depth_range,
    inverse_step,
    neighbours_of,
    points_seen,
)


@dataclass(frozen=True)
class DepthConfig:
    """Settings of `estimate_depth`.

    Attributes:
        max_side: larger side of the working images, in pixels.
        neighbours: views that each view is matched with.
        coarse_scale: resolution of the first pass relative to the working images.
        max_planes: hypotheses of the first pass at most.
        plane_step_px: disparity between planes in the widest neighbour, in coarse pixels.
        band: hypotheses on either side of the surface in the second pass.
        band_step_px: disparity between these, in working pixels.
        coarse_window, fine_window: side of the matching windows, in pixels (odd).
        colour_weight: share of plain colour difference in the matching cost.
        p1, p2: semi-global matching's penalties in cost levels (0 to 100): a change by one hypothesis, a jump.
        edge_scale: change of grey that halves the jump's penalty.
        smoothness: of the completion, against the confidence as the data's weight.
        agreement: when two views agree.
        workers: threads; 0 takes one a processor, four at most, to bound the memory.
    """

    max_side: int = 640
    neighbours: int = 4
    coarse_scale: float = 0.75
    max_planes: int = 192
    plane_step_px: float = 0.7
    band: int = 10
    band_step_px: float = 0.5
    coarse_window: int = 7
    fine_window: int = 7
    colour_weight: float = 0.15
    p1: int = 8
    p2: int = 60
    edge_scale: float = 0.03
    smoothness: float = 0.05
    agreement: AgreementConfig = field(default_factory=AgreementConfig)
    workers: int = 0


@dataclass(frozen=True)
class Match:
    """What matching alone says of one view: inverse depth, cost in [0, 1] and uniqueness."""

    inverse: Float32[np.ndarray, "h w"]
    cost: Float32[np.ndarray, "h w"]
    uniqueness: Float32[np.ndarray, "h w"]


@dataclass(frozen=True)
class Surface:
    """One view after the views were compared: complete inverse depth, confidence and support."""

    inverse: Float32[np.ndarray, "h w"]
    confidence: Float32[np.ndarray, "h w"]
    support: Int32[np.ndarray, "h w"]
    visible: tuple[Float32[np.ndarray, "h w"], ...]


def estimate_depth(cameras: CameraPrior, images: ImageSet, config: DepthConfig) -> GeometryPrior:
    """Dense depth with confidence for every placed view.

    Args:
        cameras: at least two placed views with known intrinsics, and sparse points where there are any.
        images: the photos; those without a camera are ignored.
        config: settings.

    Returns:
        Undistorted images of at most `max_side`, complete depth, confidence (at most 0.2 where no other view agrees)
        and support.

    Raises:
        ValueError: fewer than two views, or a camera that is not finite.
        InputError: all cameras stand in one place.
    """
    if len(cameras.cameras) < 2:
        raise ValueError(f"depth needs at least 2 placed views, got {len(cameras.cameras)}")
    if not (torch.isfinite(cameras.cameras.K).all() and torch.isfinite(cameras.cameras.cam_from_world).all()):
        raise ValueError("depth needs finite intrinsics and poses of all placed views")
    views, pinholes = load_views(cameras.cameras, images, config.max_side)
    surfaces = estimate_surfaces(views, cameras.points, config)
    return GeometryPrior(
        cameras=pinholes,
        depths=tuple(_view_depth(view, surface) for view, surface in zip(views, surfaces, strict=True)),
        images=tuple(torch.from_numpy(view.colour) for view in views),
        masks=tuple(torch.from_numpy(view.mask.astype(np.float32)) for view in views),
        full_cameras=cameras.cameras,
        points=cameras.points,
        unplaced=cameras.unplaced,
        warnings=cameras.warnings,
        source=cameras.source,
        scale_kind="global",
        pose_sigmas=cameras.pose_sigmas,
    )


def load_views(cameras: Cameras, images: ImageSet, max_side: int) -> tuple[list[PosedImage], Cameras]:
    """Undistort and shrink the photos of some cameras; also the pinholes that the results have."""
    views, intrinsics, sizes = [], [], []
    for index, photo in enumerate(images.select(cameras.names).photos):
        K = cameras.K[index].double().numpy()
        distortion = cameras.distortion[index].double().numpy()
        new_K, new_size = undistorted_camera(K, distortion, cameras.sizes[index], max_side)
        colour, inside = undistort_image(images.read_pixels(photo), K, distortion, new_K, new_size)
        mask = (inside > 0.5) & (undistort_mask(images.read_mask(photo), K, distortion, new_K, new_size) > 0.5)
        views.append(PosedImage.build(colour, mask, new_K, cameras.cam_from_world[index].double().numpy()))
        intrinsics.append(torch.from_numpy(new_K))
        sizes.append(new_size)
    pinholes = cameras.replace(
        K=torch.stack(intrinsics).to(cameras.K.dtype),
        sizes=tuple(sizes),
        distortion=torch.zeros_like(cameras.distortion),
    )
    return views, pinholes


def estimate_surfaces(views: Sequence[PosedImage], points: SparsePoints, config: DepthConfig) -> list[Surface]:
    """Both passes over all views. Sparse points count in the views' order and any resolution."""
    seen = points_seen(points, views)
    neighbours = [neighbours_of(i, views, points, seen, config.neighbours) for i in range(len(views))]
    if not all(neighbours):
        raise InputError(
            "the cameras stand in one place, so depth cannot be triangulated: take photos from different places, and "
            "where cameras were given check their positions"
        )
    spans = [depth_range(views[i], [views[j] for j in neighbours[i]], seen[i]) for i in range(len(views))]
    small = [view.scaled(config.coarse_scale) for view in views]
    run = _runner(config.workers, len(views))

    def coarse(i: int) -> Match:
        return _sweep_planes(small[i], [small[j] for j in neighbours[i]], spans[i], config)

    surfaces = _reconcile(small, run(coarse), spans, config, run)

    def fine(i: int) -> Match:
        return _sweep_band(views[i], [views[j] for j in neighbours[i]], neighbours[i], surfaces[i], spans[i], config)

    return _reconcile(views, run(fine), spans, config, run)


def _runner(workers: int, count: int) -> Callable[[Callable], list]:
    """Map a function over view indices on a few threads (numpy and OpenCV release Python's lock)."""
    threads = min(workers or min(os.cpu_count() or 1, 4), count)

    def run(function: Callable) -> list:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, range(count)))

    return run


def _sweep_planes(view: PosedImage, neighbours: list[PosedImage], span: DepthRange, config: DepthConfig) -> Match:
    """First pass: planes of constant inverse depth over the whole range."""
    step = inverse_step(view, neighbours, span, config.plane_step_px)
    count = int(np.clip(np.ceil((span.near_inverse - span.far_inverse) / step) + 1, 16, config.max_planes))
    inverses = np.linspace(span.far_inverse, span.near_inverse, count)
    matcher = WindowMatcher(view, neighbours, config.coarse_window, config.colour_weight)
    volume = sweep(matcher, [float(u) for u in inverses])
    total = aggregate(volume, view.grey, config.p1, config.p2, config.edge_scale)
    index, uniqueness = best_hypothesis(total)
    inverse = (inverses[0] + index * (inverses[1] - inverses[0])).astype(np.float32)
    return _match(volume, index, inverse, uniqueness)


def _sweep_band(
    view: PosedImage,
    neighbours: list[PosedImage],
    ids: list[int],
    surface: Surface,
    span: DepthRange,
    config: DepthConfig,
) -> Match:
    """Second pass: offsets from the first pass's surface, brought to full resolution along the image's edges."""
    size = view.size
    base = cv2.resize(surface.inverse, size, interpolation=cv2.INTER_LINEAR)
    weight = cv2.resize(surface.confidence, size, interpolation=cv2.INTER_NEAREST)
    base = sharpen_edges(base, weight, view.colour, EDGE_RELATIVE, radius=4)
    visible = [cv2.resize(surface.visible[j], size, interpolation=cv2.INTER_NEAREST) for j in ids]
    step = np.float32(inverse_step(view, neighbours, span, config.band_step_px))
    floor = np.float32(max(span.far_inverse, 1e-3 * span.near_inverse))
    offsets = [np.maximum(base + k * step, floor) for k in range(-config.band, config.band + 1)]
    matcher = WindowMatcher(view, neighbours, config.fine_window, config.colour_weight)
    volume = sweep(matcher, offsets, visible)
    total = aggregate(volume, view.grey, config.p1, config.p2, config.edge_scale)
    index, uniqueness = best_hypothesis(total)
    inverse = np.maximum(base + (index - config.band) * step, floor).astype(np.float32)
    return _match(volume, index, inverse, uniqueness)


def _match(volume: np.ndarray, index: np.ndarray, inverse: np.ndarray, uniqueness: np.ndarray) -> Match:
    """Look up the raw cost at the chosen hypothesis."""
    nearest = np.clip(np.rint(index), 0, volume.shape[1] - 1).astype(np.int64)[:, None, :]
    cost = np.take_along_axis(volume, nearest, 1)[:, 0].astype(np.float32) / COST_LEVELS
    return Match(inverse, cost, uniqueness)


EDGE_RELATIVE = 0.04
"""Relative jump of inverse depth within 3x3 pixels that counts as a depth edge."""

CONFIRMED = 0.25
"""Confidence from which a depth is kept as observed; below it the completion decides."""

COMPLETED_CONFIDENCE = 0.1
"""Confidence of completed depth."""

MIN_REGION = 1 / 4000
"""Confirmed regions smaller than this share of the image are taken for chance agreement."""


def _reconcile(
    views: Sequence[PosedImage], matches: list[Match], spans: list[DepthRange], config: DepthConfig, run: Callable
) -> list[Surface]:
    """Compare the views, give every pixel its confidence, and complete what is not confirmed."""
    inverses = [np.where(view.mask, match.inverse, 0) for view, match in zip(views, matches, strict=True)]
    photometric = [(match.cost < 0.6).astype(np.float32) for match in matches]

    def finish(i: int) -> Surface:
        found = agreement(i, views, inverses, photometric, config.agreement)
        return _finish(views[i], matches[i], found, spans[i], config)

    surfaces = run(finish)

    def carve(i: int) -> Surface:
        return _carve(i, views, surfaces, config)

    return run(carve)


CARVING_STEPS = 4
"""Moves of a filled-in pixel back to what another view saw: each lands it elsewhere in that view; few pixels need
more."""


UNLIKE_COLOUR = 0.2
"""Difference of blurred colours beyond which two views do not show the same thing."""


def _carve(index: int, views: Sequence[PosedImage], surfaces: Sequence[Surface], config: DepthConfig) -> Surface:
    """Push filled-in depth that hangs in space which another view saw through back to the surface seen there.

    A view sees through a pixel where its own depth beyond is observed, and where it shows another colour than the
    pixel.
    """
    surface = surfaces[index]
    inverse = surface.inverse.copy()
    filled_in = surface.support == 0
    blurred = [cv2.blur(view.colour, (5, 5)) for view in views]
    for _ in range(CARVING_STEPS):
        for other, rival in enumerate(surfaces):
            if other != index:
                found = compare(views[index], inverse, views[other], rival.inverse, rival.confidence, config.agreement)
                there = cv2.remap(blurred[other], found.x, found.y, cv2.INTER_LINEAR)
                unlike = np.abs(there - blurred[index]).max(-1) > UNLIKE_COLOUR
                seen_through = (found.confidence >= CONFIRMED) | unlike
                blocked = filled_in & found.in_front & seen_through & (found.inverse_depth > 0)
                inverse = np.where(blocked, np.minimum(inverse, found.inverse_depth), inverse)
    return replace(surface, inverse=inverse.astype(np.float32))


def _finish(view: PosedImage, match: Match, found: Agreement, span: DepthRange, config: DepthConfig) -> Surface:
    """Confidence, clean-up and completion of one view."""
    confidence = confidence_of(match.cost, match.uniqueness, found) * view.mask
    inverse = np.where(found.support > 0, found.mean_inverse, match.inverse).astype(np.float32)
    confirmed = (found.support > 0) & (confidence >= CONFIRMED)
    steps = inverse / max(0.01 * float(np.median(inverse[view.mask])) if view.mask.any() else 1, 1e-12)
    speckle = remove_speckles(np.where(confirmed, steps, 0).astype(np.float32), int(inverse.size * MIN_REGION), 2.0)
    confirmed &= ~speckle
    weight = np.where(confirmed, confidence, 0).astype(np.float32)
    smooth = complete(inverse, weight, view.colour, config.smoothness)
    floor = np.float32(max(span.far_inverse, 1e-3 * span.near_inverse))
    smooth = np.clip(smooth, floor, span.near_inverse)
    filled = np.where(confirmed, inverse, smooth).astype(np.float32)
    sharp = sharpen_edges(filled, weight, view.colour, EDGE_RELATIVE)
    moved = np.abs(sharp - filled) > 0.02 * np.maximum(filled, 1e-12)
    kept = confirmed & ~moved
    confidence = np.where(kept, confidence, COMPLETED_CONFIDENCE) * view.mask
    support = np.where(kept, found.support, 0).astype(np.int32)
    return Surface(
        np.where(view.mask, sharp, 0).astype(np.float32), confidence.astype(np.float32), support, found.visible
    )


def _view_depth(view: PosedImage, surface: Surface) -> ViewDepth:
    """From inverse depth to depth, as tensors."""
    known = surface.inverse > 0
    depth: Float[np.ndarray, "h w"] = np.where(known, 1 / np.where(known, surface.inverse, 1), 0).astype(np.float32)
    return ViewDepth(
        depth=torch.from_numpy(depth),
        confidence=torch.from_numpy(np.where(known, surface.confidence, 0).astype(np.float32)),
        support=torch.from_numpy(np.where(known, surface.support, 0).astype(np.int64)),
    )
