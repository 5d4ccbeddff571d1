"""The lens model: where OpenCV's k1, k2, p1, p2 put a point, and back.

Points are (x, y) in pixels with the top-left corner of the image at (0, 0), or normalised (x/z, y/z).
Source of the model: OpenCV's documentation of camera calibration (Brown 1966), with k3 = 0.
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

MAX_ITERATIONS = 30
CONVERGED = 1e-7
"""A Newton step shorter than this (normalised) was the last: convergence is quadratic, so that the error is under 1e-12."""

ACCEPTED_RESIDUAL = 1e-4
"""Points whose redistorted coordinates are off by more (normalised) have no inverse: they lie beyond the lens model."""


def distort_points(
    points: Float[ndarray, "n 2"],
    K: Float[ndarray, "3 3"],
    distortion: Float[ndarray, "4"],
    K_target: Float[ndarray, "3 3"] | None = None,
) -> Float[ndarray, "n 2"]:
    """Move pinhole pixels to where the lens puts them.

    Args:
        points: pixels of a pinhole camera with intrinsics K.
        K_target: intrinsics of the distorted image; K where absent.
    """
    target = K if K_target is None else K_target
    return _to_pixels(_distort_normalised(_to_normalised(points, K), distortion), target)


def undistort_points(
    points: Float[ndarray, "n 2"],
    K: Float[ndarray, "3 3"],
    distortion: Float[ndarray, "4"],
    K_target: Float[ndarray, "3 3"] | None = None,
) -> Float[ndarray, "n 2"]:
    """Move pixels of a distorted image to the pinhole camera of intrinsics K_target (K where absent).

    Returns:
        Pinhole pixels; NaN where the lens model has no inverse (strong distortion, far outside of the image).
    """
    target = K if K_target is None else K_target
    if not distortion.any():
        return _to_pixels(_to_normalised(points, K), target)
    distorted = _to_normalised(points, K)
    normalised = _undistort_normalised(distorted, distortion)
    return _to_pixels(normalised, target)


def _undistort_normalised(distorted: Float[ndarray, "n 2"], distortion: Float[ndarray, "4"]) -> Float[ndarray, "n 2"]:
    """Newton's method on the distortion model; NaN where it does not converge or lands beyond the model's fold."""
    found = distorted.astype(np.float64)
    active = np.arange(len(found))
    with np.errstate(all="ignore"):
        for _ in range(MAX_ITERATIONS):
            points = found[active]
            step = _newton_step(points, distorted[active], distortion)
            found[active] = points - step
            # Written so that NaN counts as finished.
            active = active[np.abs(step).max(axis=1) > CONVERGED]
            if len(active) == 0:
                break
        residual = np.abs(_distort_normalised(found, distortion) - distorted).max(axis=1)
    found[~(residual < ACCEPTED_RESIDUAL) | _folded_normalised(found, distortion)] = np.nan
    return found


def _newton_step(points: ndarray, distorted: ndarray, distortion: ndarray) -> ndarray:
    """The step to subtract from `points`, damped where the Jacobian is nearly singular and would throw them far off."""
    x, y = points[:, 0], points[:, 1]
    fx, fy = (_distort_normalised(points, distortion) - distorted).T
    a, b, c, d = _jacobian(x, y, *(float(v) for v in distortion))
    determinant = a * d - b * c
    step = np.stack([d * fx - b * fy, a * fy - c * fx], axis=1) / determinant[:, None]
    longest = 0.5 * np.hypot(x, y) + 0.1
    return step * np.minimum(1, longest / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-300))[:, None]


def _distort_normalised(points: Float[ndarray, "n 2"], distortion: Float[ndarray, "4"]) -> Float[ndarray, "n 2"]:
    """OpenCV's model on normalised coordinates (its documentation of camera calibration, with k3 = 0)."""
    k1, k2, p1, p2 = (float(v) for v in distortion)
    x, y = points[:, 0], points[:, 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * k2)
    return np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y],
        axis=1,
    )


def _jacobian(
    x: ndarray, y: ndarray, k1: float, k2: float, p1: float, p2: float
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Derivatives of the distorted x and y by x and y, row by row."""
    r2 = x * x + y * y
    radial, slope = 1 + r2 * (k1 + r2 * k2), 2 * (k1 + 2 * k2 * r2)
    mixed = slope * x * y + 2 * p1 * x + 2 * p2 * y
    return (
        radial + slope * x * x + 2 * p1 * y + 6 * p2 * x,
        mixed,
        mixed,
        radial + slope * y * y + 6 * p1 * y + 2 * p2 * x,
    )


def beyond_fold(points: ndarray, K: ndarray, distortion: ndarray) -> Bool[ndarray, " n"]:
    """Pinhole pixels so far out that the radial polynomial has turned back: they would show the picture twice."""
    if not distortion.any():
        return np.zeros(len(points), dtype=bool)
    return _folded_normalised(_to_normalised(points, K), distortion)


def _folded_normalised(points: ndarray, distortion: ndarray) -> Bool[ndarray, " n"]:
    return (points**2).sum(1) >= _fold_radius_squared(float(distortion[0]), float(distortion[1]))


def _fold_radius_squared(k1: float, k2: float) -> float:
    """Squared radius at which r (1 + k1 r^2 + k2 r^4) stops growing: the first root of 1 + 3 k1 s + 5 k2 s^2."""
    if k2 == 0:
        return -1 / (3 * k1) if k1 < 0 else math.inf
    discriminant = 9 * k1 * k1 - 20 * k2
    if discriminant < 0:
        return math.inf
    roots = [(-3 * k1 + sign * math.sqrt(discriminant)) / (10 * k2) for sign in (-1, 1)]
    return min((root for root in roots if root > 0), default=math.inf)


def _to_normalised(points: ndarray, K: ndarray) -> ndarray:
    y = (points[:, 1] - K[1, 2]) / K[1, 1]
    return np.stack([(points[:, 0] - K[0, 2] - K[0, 1] * y) / K[0, 0], y], axis=1)


def _to_pixels(normalised: ndarray, K: ndarray) -> ndarray:
    return normalised @ K[:2, :2].T + K[:2, 2]
