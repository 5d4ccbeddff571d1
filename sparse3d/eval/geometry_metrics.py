"""How far a reconstructed surface is from a true one, both as points.

The figures are those of Tanks and Temples (Knapitsch et al. 2017, section 5: precision, recall and F-score at a
threshold) and of DTU (Jensen et al. 2014: accuracy and completeness as mean distances, with the points thinned so that
density has no weight). Both bound the comparison to what the true surface holds: `within_bounds` leaves out what was
reconstructed where nobody measured, `seen_by` what no photo shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from sparse3d.core.cameras import Cameras
from sparse3d.core.lens import distort_points

Points = Float[ndarray, "_n 3"]

BUFFER_SIDE, BUFFER_POINTS = 128, 8
"""The depth buffer that decides what the true surface hides of itself: cells along the longer side at most, and points in
a cell on average at least, so that the surface is closed in it."""

BUFFER_SLOPE, BUFFER_TOLERANCE = 3.0, 0.01
"""A point is seen if it lies no farther behind the nearest one of its cell than a surface as steep as this can lie within a
cell, and this share of the depth."""

MAX_CELLS = 2**62
"""Of a grid: what numbers of 64 bits tell apart."""


@dataclass(frozen=True)
class GeometryScore:
    """Distances between a reconstruction and a true surface, in the unit of the points.

    Attributes:
        points, true_points: how many were compared, of the true ones those to find.
        accuracy, completeness: mean distance from a reconstructed point to the nearest true one, and the reverse.
        accuracy_median, completeness_median: the medians.
        chamfer: mean of accuracy and completeness.
        thresholds: for `precision`, `recall` and `f_score`.
        precision: share of the reconstructed points nearer than the threshold to a true one.
        recall: share of the true points nearer than the threshold to a reconstructed one.
        f_score: harmonic mean of the two.
    """

    points: int
    true_points: int
    accuracy: float
    completeness: float
    accuracy_median: float
    completeness_median: float
    chamfer: float
    thresholds: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f_score: tuple[float, ...]


def geometry_metrics(
    points: Points,
    truth: Points,
    thresholds: Sequence[float],
    *,
    to_find: Points | None = None,
    max_distance: float | None = None,
) -> GeometryScore:
    """Compare two sets of points by nearest neighbours.

    Args:
        points: the reconstruction, in the truth's frame and unit.
        truth: the true surface.
        thresholds: distances for the F-score.
        to_find: the part of the true surface that completeness and recall are taken over, such as what the photos show; all
            of it if None.
        max_distance: points farther off than this are left out of the mean and median distances, as DTU does at 20 mm; they
            count as wrong in precision and recall. None leaves none out.

    Raises:
        ValueError: a set is empty, or no distance is within `max_distance`.
    """
    to_find = truth if to_find is None else to_find
    if len(points) == 0 or len(to_find) == 0:
        raise ValueError(f"geometry: {len(points)} reconstructed and {len(to_find)} true points, need some of both")
    to_truth, to_points = cKDTree(truth).query(points)[0], cKDTree(points).query(to_find)[0]
    limit = np.inf if max_distance is None else max_distance
    near_truth, near_points = to_truth[to_truth <= limit], to_points[to_points <= limit]
    if len(near_truth) == 0 or len(near_points) == 0:
        raise ValueError(f"geometry: no point lies within {limit:g} of the other set")
    precision = [float((to_truth < t).mean()) for t in thresholds]
    recall = [float((to_points < t).mean()) for t in thresholds]
    return GeometryScore(
        points=len(points),
        true_points=len(to_find),
        accuracy=float(near_truth.mean()),
        completeness=float(near_points.mean()),
        accuracy_median=float(np.median(near_truth)),
        completeness_median=float(np.median(near_points)),
        chamfer=float(near_truth.mean() + near_points.mean()) / 2,
        thresholds=tuple(float(t) for t in thresholds),
        precision=tuple(precision),
        recall=tuple(recall),
        f_score=tuple(2 * p * r / (p + r) if p + r > 0 else 0.0 for p, r in zip(precision, recall, strict=True)),
    )


def sample_mesh(vertices: Points, faces: Int[ndarray, "m 3"], count: int, *, seed: int = 0) -> Points:
    """Points spread evenly over a mesh's area.

    The number in a triangle is proportional to its area; within it they are uniform (Turk 1990: square root of the first
    random number).

    Raises:
        ValueError: the triangles have no area.
    """
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    if not areas.sum() > 0:
        raise ValueError("the mesh has no area to sample")
    rng = np.random.default_rng(seed)
    # Stratified over the summed areas: the error of a triangle's share is below one point.
    steps = (np.arange(count) + rng.random(count)) / count * areas.sum()
    chosen = np.searchsorted(np.cumsum(areas), steps).clip(max=len(faces) - 1)
    root, along = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    return (1 - root) * a[chosen] + root * (1 - along) * b[chosen] + root * along * c[chosen]


def thin(points: Points, spacing: float) -> Points:
    """One point, the mean, for each cell of a grid, so that a dense part of a cloud weighs no more than its area.

    Raises:
        ValueError: the spacing is so small that the cells cannot be numbered.
    """
    cells = np.floor((points - points.min(0)) / spacing).astype(np.int64)
    sides = [int(side) + 1 for side in cells.max(0)]
    if sides[0] * sides[1] * sides[2] > MAX_CELLS:
        raise ValueError(
            f"a grid of {sides} cells is too fine: is the spacing of {spacing:g} in the unit of the points?"
        )
    numbers = (cells[:, 0] * sides[1] + cells[:, 1]) * sides[2] + cells[:, 2]
    _, where, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(where, weights=points[:, k], minlength=len(counts)) for k in range(3)], 1)
    return sums / counts[:, None]


def diagonal(points: Points) -> float:
    """Length of the diagonal of the points' bounding box: the size that thresholds are a fraction of."""
    return float(np.linalg.norm(points.max(0) - points.min(0)))


def within_bounds(points: Points, truth: Points, margin: float) -> Bool[ndarray, " _n"]:
    """Which points lie in the true surface's bounding box, enlarged by a margin on every side."""
    low, high = truth.min(0) - margin, truth.max(0) + margin
    return ((points >= low) & (points <= high)).all(1)


def seen_by(points: Points, cameras: Cameras) -> Bool[ndarray, " _n"]:
    """Which points of a surface one of the cameras sees: in its picture, and not behind others of the points.

    What hides what is decided by a coarse depth buffer, see `BUFFER_SIDE` and `BUFFER_SLOPE`.

    Args:
        cameras: in the points' world, poses and intrinsics known.
    """
    seen = np.zeros(len(points), bool)
    for i in range(len(cameras)):
        pose, K, distortion = (
            x[i].detach().cpu().double().numpy() for x in (cameras.cam_from_world, cameras.K, cameras.distortion)
        )
        cam = points @ pose[:3, :3].T + pose[:3, 3]
        ahead = np.flatnonzero(cam[:, 2] > 0)
        pinhole = cam[ahead] @ K.T
        pinhole = pinhole[:, :2] / pinhole[:, 2:]
        size = np.array(cameras.sizes[i])
        # A lens model folds far outside of the picture: what is a picture's size away from it was never inside.
        near = ((pinhole > -size) & (pinhole < 2 * size)).all(1)
        ahead, pixels = ahead[near], distort_points(pinhole[near], K, distortion)
        inside = ((pixels >= 0) & (pixels < size)).all(1)
        ahead, pixels = ahead[inside], pixels[inside]
        side = int(np.sqrt(len(ahead) / BUFFER_POINTS).clip(1, BUFFER_SIDE))
        cell = np.floor(pixels * (side / size.max())).astype(np.int64)
        flat, depth = cell[:, 1] * side + cell[:, 0], cam[ahead, 2]
        nearest = np.full(side * side, np.inf)
        np.minimum.at(nearest, flat, depth)
        slack = BUFFER_TOLERANCE + BUFFER_SLOPE * size.max() / side / K[0, 0]
        seen[ahead[depth <= nearest[flat] * (1 + slack)]] = True
    return seen
