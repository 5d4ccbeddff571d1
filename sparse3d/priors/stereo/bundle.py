"""Bundle adjustment with priors on the intrinsics: Levenberg-Marquardt (Triggs et al. 2000)."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.covariance import focal_sigma
from sparse3d.priors.stereo.model import Model
from sparse3d.priors.stereo.normal_equations import (
    INTRINSICS,
    Layout,
    layout_of,
    linearise,
    priors_of,
    robust_cost,
    solve,
    temper,
)
from sparse3d.priors.stereo.tracks import Tracks

MAX_ITERATIONS = 40

RELATIVE_TOLERANCE = 1e-6
"""Stop when a step lowers the cost by less than this fraction."""

FOCAL_RATIO_RANGE = (0.3, 8.0)
"""Focal length over the longer side: from a 130 degree fisheye's middle to a 290 mm lens; nothing else is believed."""

MAX_K1 = 0.3
"""Beyond this the model folds over inside ordinary photos."""

MAX_K2 = 0.5
"""The same of the second coefficient, which acts on the fourth power of the distance from the middle."""

MAX_SHIFT = 0.05
"""A principal point farther from the middle, in longer sides, is a cropped photo, not a lens."""


@dataclass(frozen=True)
class Adjusted:
    """What bundle adjustment found.

    Attributes:
        model, points: refined.
        cost: robust cost with priors.
        focal_sigma: standard deviation of log focal length by the data alone, one a group; infinite where undetermined.
    """

    model: Model
    points: Float[ndarray, "p 3"]
    cost: float
    focal_sigma: dict[int, float]


def adjust(
    model: Model,
    tracks: Tracks,
    points: Float[ndarray, "p 3"],
    config: CameraConfig,
    *,
    hold_focal: bool = False,
    iterations: int = MAX_ITERATIONS,
) -> Adjusted:
    """Refine what is free of the poses and intrinsics, and all points.

    Args:
        tracks: the observations to fit, all of placed views and of finite points.
        points: start values; points without observations pass through.
        hold_focal: keep the focal length even where it is free.
    """
    layout = layout_of(model, hold_focal)
    used = np.unique(tracks.points)
    slot = np.full(len(points), -1)
    slot[used] = np.arange(len(used))
    compact = replace(tracks, points=slot[tracks.points], count=len(used))
    current, xyz = model, points[used]
    weights = temper(compact)
    damping, cost = 1e-3, robust_cost(current, compact, xyz, config, weights, layout)
    for _ in range(iterations):
        system = linearise(current, compact, xyz, config, weights, layout)
        improved = False
        for _ in range(6):
            step, point_step = solve(system, damping)
            trial, trial_xyz = _apply(current, layout, step), xyz + point_step
            trial_cost = robust_cost(trial, compact, trial_xyz, config, weights, layout)
            if trial_cost < cost:
                improved = True
                break
            damping *= 8
        if not improved:
            break
        gain, cost, current, xyz = cost - trial_cost, trial_cost, trial, trial_xyz
        damping = max(damping / 6, 1e-9)
        if gain < RELATIVE_TOLERANCE * max(cost, 1e-12):
            break
    result = points.copy()
    result[used] = xyz
    return Adjusted(current, result, cost, focal_sigma(current, compact, xyz, config, hold_focal=hold_focal))


def prior_cost(model: Model, config: CameraConfig) -> float:
    """Half the squared prior residuals of all free intrinsics."""
    return 0.5 * float(sum((r**2).sum() for r, _ in priors_of(model, config, layout_of(model, False))))


def _apply(model: Model, layout: Layout, step: ndarray) -> Model:
    pose, focal, distortion = model.cam_from_world.copy(), model.focal.copy(), model.distortion.copy()
    centre = model.centre.copy()
    for view in np.flatnonzero(layout.pose_slot >= 0):
        delta = step[layout.pose_slot[view] : layout.pose_slot[view] + 6]
        rotation = _rodrigues(delta[3:])
        pose[view, :3, :3] = rotation @ pose[view, :3, :3]
        pose[view, :3, 3] = rotation @ pose[view, :3, 3] + delta[:3]
    for view in np.flatnonzero(layout.intrinsics_slot >= 0):
        log_step, k1_step, k2_step, *shift = step[
            layout.intrinsics_slot[view] : layout.intrinsics_slot[view] + INTRINSICS
        ]
        ratio = focal[view, 0] / model.long_side[view]
        wanted = np.clip(ratio * np.exp(np.clip(log_step, -0.3, 0.3)), *FOCAL_RATIO_RANGE)
        focal[view] *= wanted / ratio
        distortion[view, 0] = np.clip(distortion[view, 0] + k1_step, -MAX_K1, MAX_K1)
        distortion[view, 1] = np.clip(distortion[view, 1] + k2_step, -MAX_K2, MAX_K2)
        moved = centre[view] - model.middle[view] + np.array(shift) * model.long_side[view]
        limit = MAX_SHIFT * model.long_side[view]
        centre[view] = model.middle[view] + np.clip(moved, -limit, limit)
    return replace(model, cam_from_world=pose, focal=focal, distortion=distortion, centre=centre)


def _rodrigues(omega: Float[ndarray, "3"]) -> Float[ndarray, "3 3"]:
    angle = np.linalg.norm(omega)
    hat = np.array([[0, -omega[2], omega[1]], [omega[2], 0, -omega[0]], [-omega[1], omega[0], 0]])
    if angle < 1e-9:
        return np.eye(3) + hat
    return np.eye(3) + np.sin(angle) / angle * hat + (1 - np.cos(angle)) / angle**2 * hat @ hat
