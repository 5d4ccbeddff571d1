"""Which neighbours a view is matched with, and over which range of depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.priors.stereo.plane_sweep import PosedImage

BEST_ANGLE_DEG, NARROW_SIGMA_DEG, WIDE_SIGMA_DEG = 8.0, 4.0, 14.0
"""Triangulation angle that is matched best, and how fast pairs lose worth below and above it (after MVSNet's view
score)."""

FEW_POINTS = 20
"""Below this number of sparse points in a view their percentiles say little and the cameras' geometry decides."""

NEAR_MARGIN, FAR_MARGIN = 0.4, 0.5
"""How far the range of inverse depth is widened, as fractions of the sparse points' spread: surfaces lack features."""

MIN_SPREAD = 0.25
"""Smallest spread of inverse depth relative to its median: sparse points on one plane do not make a scene flat."""

MAX_DISPARITY = 0.4
"""Largest disparity searched without sparse points, as a fraction of the image's larger side."""


@dataclass(frozen=True)
class DepthRange:
    """Inverse depths between which a view is searched: the scene's far and near ends (far may be 0, at infinity)."""

    far_inverse: float
    near_inverse: float


@dataclass(frozen=True)
class Task:
    """One view with those that it is matched with.

    Attributes:
        index: of the view.
        neighbours: of the others, best first.
        span: range of inverse depth.
    """

    index: int
    neighbours: tuple[int, ...]
    span: DepthRange


@dataclass(frozen=True)
class SeenPoints:
    """Sparse points that one view observes.

    Attributes:
        ids: indices of the points.
        depths: their z-depths in the view, positive.
    """

    ids: np.ndarray
    depths: np.ndarray


def points_seen(points: SparsePoints, views: Sequence[PosedImage]) -> list[SeenPoints]:
    """The sparse points of every view, those in front of the camera."""
    world = points.points.double().numpy()
    track_views, track_points = points.track_views.numpy(), points.track_points.numpy()
    seen = []
    for index, view in enumerate(views):
        ids = np.unique(track_points[track_views == index])
        depths = world[ids] @ view.cam_from_world[2, :3] + view.cam_from_world[2, 3]
        front = np.isfinite(depths) & (depths > 0)
        seen.append(SeenPoints(ids[front], depths[front]))
    return seen


def neighbours_of(
    index: int, views: Sequence[PosedImage], points: SparsePoints, seen: Sequence[SeenPoints], count: int
) -> list[int]:
    """The views that a view is matched with, best first.

    A pair is worth the sum over its common sparse points of a bell curve of the triangulation angle; without enough
    common points the points of the view alone, projected into the other, or its optical axis stand in for them.
    """
    world = points.points.double().numpy()
    scores = []
    for other in range(len(views)):
        if other == index or np.linalg.norm(views[other].centre - views[index].centre) <= 0:
            continue
        common = np.intersect1d(seen[index].ids, seen[other].ids)
        score = _angle_worth(world[common], views[index], views[other]).sum()
        probes = _axis_points(views[index], seen[index])
        inside = _visible(probes, views[other])
        score += 0.01 * (_angle_worth(probes, views[index], views[other]) * inside).sum()
        scores.append((-float(score), other))
    return [other for _, other in sorted(scores)[:count]]


def depth_range(view: PosedImage, neighbours: Sequence[PosedImage], seen: SeenPoints) -> DepthRange:
    """The range of inverse depth that a view is searched over."""
    if len(seen.depths) >= FEW_POINTS:
        far, middle, near = np.percentile(1 / seen.depths, [1, 50, 99])
        spread = max(near - far, MIN_SPREAD * middle)
        return DepthRange(float(max(0.0, far - FAR_MARGIN * spread)), float(near + NEAR_MARGIN * spread))
    baseline = max(float(np.linalg.norm(other.centre - view.centre)) for other in neighbours)
    near = MAX_DISPARITY * max(view.size) / (view.K[0, 0] * baseline)
    if len(seen.depths) > 0:
        near = max(near, 1.5 / float(np.min(seen.depths)))
    return DepthRange(0.0, float(near))


def inverse_step(
    view: PosedImage, neighbours: Sequence[PosedImage], span: DepthRange, max_disparity_px: float
) -> float:
    """Step of inverse depth at which no pixel moves more than a number of pixels in any neighbour (sampled on a
    grid)."""
    width, height = view.size
    xs, ys = np.meshgrid(np.linspace(0, width, 7), np.linspace(0, height, 7))
    pixels = np.stack([xs.ravel(), ys.ravel(), np.ones(xs.size)])
    middle = 0.5 * (span.far_inverse + span.near_inverse)
    change = 1e-3 * max(span.near_inverse - span.far_inverse, 1e-12)
    fastest = 0.0
    for other in neighbours:
        rotation = other.cam_from_world[:3, :3] @ view.cam_from_world[:3, :3].T
        shift = other.K @ (other.cam_from_world[:3, 3] - rotation @ view.cam_from_world[:3, 3])
        rays = other.K @ rotation @ np.linalg.inv(view.K) @ pixels
        ends = [rays + (middle + sign * change) * shift[:, None] for sign in (-1, 1)]
        front = (ends[0][2] > 0) & (ends[1][2] > 0)
        if front.any():
            moved = ends[1][:2, front] / ends[1][2, front] - ends[0][:2, front] / ends[0][2, front]
            fastest = max(fastest, float(np.percentile(np.linalg.norm(moved, axis=0), 75)) / (2 * change))
    return max_disparity_px / fastest if fastest > 0 else span.near_inverse - span.far_inverse


def _angle_worth(points: Float[np.ndarray, "n 3"], a: PosedImage, b: PosedImage) -> Float[np.ndarray, " n"]:
    """Worth in [0, 1] of matching two views at world points, by the angle between their rays."""
    to_a, to_b = a.centre - points, b.centre - points
    cosine = (to_a * to_b).sum(-1) / np.maximum(np.linalg.norm(to_a, axis=-1) * np.linalg.norm(to_b, axis=-1), 1e-12)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    sigma = np.where(angle < BEST_ANGLE_DEG, NARROW_SIGMA_DEG, WIDE_SIGMA_DEG)
    return np.exp(-0.5 * ((angle - BEST_ANGLE_DEG) / sigma) ** 2)


def _axis_points(view: PosedImage, seen: SeenPoints) -> Float[np.ndarray, "n 3"]:
    """World points over the image of a view, at the median depth of its sparse points (1 unit when it has none)."""
    depth = float(np.median(seen.depths)) if len(seen.depths) else 1.0
    xs, ys = np.meshgrid(np.linspace(0.1, 0.9, 5) * view.size[0], np.linspace(0.1, 0.9, 5) * view.size[1])
    pixels = np.stack([xs.ravel(), ys.ravel(), np.ones(xs.size)])
    points_cam = np.linalg.inv(view.K) @ pixels * depth
    return (view.cam_from_world[:3, :3].T @ (points_cam - view.cam_from_world[:3, 3:])).T


def _visible(points: Float[np.ndarray, "n 3"], view: PosedImage) -> np.ndarray:
    """Which world points fall into a view's image."""
    homogeneous = view.K @ (view.cam_from_world[:3, :3] @ points.T + view.cam_from_world[:3, 3:])
    front = homogeneous[2] > 0
    x, y = homogeneous[:2] / np.where(front, homogeneous[2], 1)
    return front & (x >= 0) & (x < view.size[0]) & (y >= 0) & (y < view.size[1])
