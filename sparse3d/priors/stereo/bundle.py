"""Bundle adjustment with priors on the intrinsics: Levenberg-Marquardt, points eliminated (Triggs et al. 2000)."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import Model, distort, to_camera
from sparse3d.priors.stereo.tracks import Tracks

CAUCHY_SIGMAS = 2.0
"""Residuals beyond this many standard deviations lose influence."""

MAX_ITERATIONS = 40
RELATIVE_TOLERANCE = 1e-6
"""Stop when a step lowers the cost by less than this fraction."""

FOCAL_RATIO_RANGE = (0.3, 8.0)
"""Focal length over the longer side: from a 130 degree fisheye's middle to a 290 mm lens; nothing else is believed."""

MAX_K1 = 0.3
"""Beyond this the model folds over inside ordinary photos."""

EFFECTIVE_OBSERVATIONS = 300
"""Matches err together (same surface, same blur), so that a view's data count as this many independent observations at
most when they are weighed against the priors."""

INTRINSICS = 4
"""Free parameters of a group: log focal, k1, and the principal point's shift (x, y) over the longer side."""

MAX_SHIFT = 0.05
"""A principal point farther from the middle, in longer sides, is a cropped photo, not a lens."""

HELD = 1e6
"""Inverse standard deviation of what is not to move."""

MIN_DEPTH = 1e-9

SINGLE_THREADED_PRODUCT = 200_000
"""Multiplications in one matrix product; OpenBLAS starts its threads at 262144."""


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


@dataclass(frozen=True)
class _Layout:
    """Where the free parameters stand in the camera vector: 6 a free view, then `INTRINSICS` a free group."""

    pose_slot: ndarray
    intrinsics_slot: ndarray
    groups: tuple[int, ...]
    size: int


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
    layout = _layout(model, hold_focal)
    used = np.unique(tracks.points)
    slot = np.full(len(points), -1)
    slot[used] = np.arange(len(used))
    compact = replace(tracks, points=slot[tracks.points], count=len(used))
    current, xyz = model, points[used]
    weights = temper(compact)
    damping, cost = 1e-3, _cost(current, compact, xyz, config, weights, layout)
    for _ in range(iterations):
        system = _linearise(current, compact, xyz, config, weights, layout)
        improved = False
        for _ in range(6):
            step, point_step = _solve(system, damping)
            trial, trial_xyz = _apply(current, layout, step), xyz + point_step
            trial_cost = _cost(trial, compact, trial_xyz, config, weights, layout)
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
    return Adjusted(current, result, cost, _focal_sigma(current, compact, xyz, config, weights, layout))


def _layout(model: Model, hold_focal: bool) -> _Layout:
    pose_slot = np.full(len(model.group), -1)
    free = np.flatnonzero(model.pose_free & model.placed)
    pose_slot[free] = 6 * np.arange(len(free))
    base = 6 * len(free)
    groups = () if hold_focal else tuple(sorted(set(model.group[model.intrinsics_free & model.placed].tolist())))
    intrinsics_slot = np.full(len(model.group), -1)
    for n, group in enumerate(groups):
        intrinsics_slot[(model.group == group) & model.intrinsics_free] = base + INTRINSICS * n
    return _Layout(pose_slot, intrinsics_slot, groups, base + INTRINSICS * len(groups))


def temper(tracks: Tracks) -> Float[ndarray, " view"]:
    """The factor on each view's data, so that they count as `EFFECTIVE_OBSERVATIONS` at most."""
    counts = np.bincount(tracks.views)
    return np.minimum(1.0, EFFECTIVE_OBSERVATIONS / np.maximum(counts, 1))


def _whitened(model: Model, tracks: Tracks, xyz: ndarray) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Residuals in standard deviations, camera-frame points, normalised coordinates, and the distortion's Jacobian."""
    cam = to_camera(model, tracks.views, xyz[tracks.points])
    depth = np.where(np.abs(cam[:, 2]) < MIN_DEPTH, MIN_DEPTH, cam[:, 2])
    xy = cam[:, :2] / depth[:, None]
    bent, bend = distort(xy, model.distortion[tracks.views])
    projected = bent * model.focal[tracks.views] + model.centre[tracks.views]
    return (projected - tracks.pixels) / tracks.sigmas[:, None], cam, xy, bend


def _cost(model: Model, tracks: Tracks, xyz: ndarray, config: CameraConfig, weights: ndarray, layout: _Layout) -> float:
    residual, cam, _, _ = _whitened(model, tracks, xyz)
    if (cam[:, 2] <= 0).any() or not np.isfinite(residual).all():
        return np.inf
    square = (residual**2).sum(1) / CAUCHY_SIGMAS**2
    data = (weights[tracks.views] * CAUCHY_SIGMAS**2 * np.log1p(square)).sum()
    prior = sum((r**2).sum() for r, _ in _priors(model, config, layout))
    return float(0.5 * (data + prior))


def prior_cost(model: Model, config: CameraConfig) -> float:
    """Half the squared prior residuals of all free intrinsics."""
    return 0.5 * float(sum((r**2).sum() for r, _ in _priors(model, config, _layout(model, False))))


def _priors(model: Model, config: CameraConfig, layout: _Layout) -> list[tuple[ndarray, ndarray]]:
    """Per free group the whitened prior residuals of its intrinsics and their inverse standard deviations."""
    out = []
    for group in layout.groups:
        view = int(np.flatnonzero((model.group == group) & model.intrinsics_free)[0])
        exif = model.exif_focal[view]
        known = np.isfinite(exif)
        expected = exif if known else config.focal_prior_ratio * model.long_side[view]
        # Photos held upright and sideways see the same shift along different axes: it is left alone there.
        mixed = len(np.unique(model.middle[(model.group == group) & model.intrinsics_free], axis=0)) > 1
        centre_inverse = HELD if mixed else 1 / config.centre_sigma
        focal_inverse = 1 / (config.exif_sigma if known else config.focal_prior_sigma)
        inverse = np.array([focal_inverse, 1 / config.k1_sigma, centre_inverse, centre_inverse])
        shift = (model.centre[view] - model.middle[view]) / model.long_side[view]
        value = np.array([np.log(model.focal[view, 0] / expected), model.distortion[view, 0], *shift])
        out.append((value * inverse, inverse))
    return out


@dataclass(frozen=True)
class _System:
    """The normal equations: cameras (U), points (V), both (W as xyz, camera parameter, point), right-hand sides."""

    cameras: ndarray
    points: ndarray
    mixed: ndarray
    camera_rhs: ndarray
    point_rhs: ndarray
    prior_diagonal: ndarray


def _linearise(
    model: Model, tracks: Tracks, xyz: ndarray, config: CameraConfig, weights: ndarray, layout: _Layout
) -> _System:
    residual, cam, xy, bend = _whitened(model, tracks, xyz)
    weight = weights[tracks.views] / (1 + (residual**2).sum(1) / CAUCHY_SIGMAS**2)
    root = np.sqrt(weight)[:, None]
    focal = model.focal[tracks.views] / tracks.sigmas[:, None]
    z = cam[:, 2]
    flat = np.zeros((len(z), 2, 3))
    flat[:, 0, 0] = flat[:, 1, 1] = 1 / z
    flat[:, :, 2] = -xy / z[:, None]
    by_cam = (focal * root)[:, :, None] * (bend @ flat)
    by_point = by_cam @ model.cam_from_world[tracks.views, :3, :3]
    by_rotation = np.cross(cam[:, None, :], by_cam)
    bent, _ = distort(xy, model.distortion[tracks.views])
    by_log_focal = focal * root * bent
    by_k1 = focal * root * xy * (xy**2).sum(1, keepdims=True)
    by_centre = (model.long_side[tracks.views] / tracks.sigmas * root[:, 0])[:, None, None] * np.eye(2)
    blocks = np.concatenate([by_cam, by_rotation, by_log_focal[:, :, None], by_k1[:, :, None], by_centre], axis=2)
    system = _assemble(blocks, by_point, residual * root, tracks, layout)
    for n, (value, inverse) in enumerate(_priors(model, config, layout)):
        start = layout.size - INTRINSICS * (len(layout.groups) - n)
        system.prior_diagonal[start : start + INTRINSICS] = inverse**2
        system.camera_rhs[start : start + INTRINSICS] -= value * inverse
    return system


def _assemble(blocks: ndarray, by_point: ndarray, target: ndarray, tracks: Tracks, layout: _Layout) -> _System:
    """Sum the observations' blocks (2x10 by camera, 2x3 by point) into the normal equations, view by view."""
    size, count = layout.size, tracks.count
    # One spare column collects what belongs to fixed parameters.
    cameras, camera_rhs = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    mixed = np.zeros((3, size + 1, count))
    for view in np.unique(tracks.views):
        here = tracks.views == view
        pose, intrinsics = layout.pose_slot[view], layout.intrinsics_slot[view]
        columns = np.full(6 + INTRINSICS, size)
        if pose >= 0:
            columns[:6] = pose + np.arange(6)
        if intrinsics >= 0:
            columns[6:] = intrinsics + np.arange(INTRINSICS)
        flat = blocks[here].reshape(-1, 6 + INTRINSICS)
        np.add.at(cameras, (columns[:, None], columns[None, :]), flat.T @ flat)
        np.add.at(camera_rhs, columns, -(flat.T @ target[here].reshape(-1)))
        # A view observes a point at most once, so that plain indexed addition does not lose anything.
        cross = np.einsum("oki,okj->jio", blocks[here], by_point[here])
        owners = tracks.points[here]
        for k, column in enumerate(columns):
            if column < size:
                mixed[:, column, owners] += cross[:, k]
    points, point_rhs = np.empty((count, 3, 3)), np.empty((count, 3))
    for a in range(3):
        point_rhs[:, a] = -np.bincount(tracks.points, (by_point[:, :, a] * target).sum(1), count)
        for b in range(a, 3):
            points[:, a, b] = np.bincount(tracks.points, (by_point[:, :, a] * by_point[:, :, b]).sum(1), count)
            points[:, b, a] = points[:, a, b]
    return _System(cameras[:size, :size], points, mixed[:, :size], camera_rhs[:size], point_rhs, np.zeros(size))


def _reduce(system: _System, damping: float) -> tuple[ndarray, ndarray, ndarray]:
    """Eliminate the points: reduced matrix and right-hand side, and the inverses of the points' blocks."""
    diagonal = np.einsum("pii->pi", system.points)
    floor = 1e-12 * diagonal.max(1, keepdims=True) + 1e-30
    inverse = np.linalg.inv(system.points + np.eye(3) * (damping * diagonal + floor)[:, None, :])
    matrix = system.cameras + np.diag(system.prior_diagonal)
    rhs = system.camera_rhs.copy()
    for j in range(3):
        carried = np.add.reduce([system.mixed[i] * inverse[:, i, j] for i in range(3)])
        matrix = matrix - _product_over_points(carried, system.mixed[j])
        rhs = rhs - carried @ system.point_rhs[:, j]
    return matrix, rhs, inverse


def _product_over_points(left: ndarray, right: ndarray) -> ndarray:
    """`left @ right.T` in slices that stay below the size at which OpenBLAS starts threads, whose waiting costs more
    than they gain on a busy machine."""
    size, count = left.shape
    if size == 0:
        return np.zeros((0, 0))
    width = max(16, SINGLE_THREADED_PRODUCT // max(size * size, 1))
    whole = count // width * width
    sliced = [x[:, :whole].reshape(size, -1, width).transpose(1, 0, 2) for x in (left, right)]
    total = np.matmul(sliced[0], sliced[1].transpose(0, 2, 1)).sum(0)
    return total + left[:, whole:] @ right[:, whole:].T


def _solve(system: _System, damping: float) -> tuple[ndarray, ndarray]:
    matrix, rhs, inverse = _reduce(system, damping)
    scale = np.diag(system.cameras) + system.prior_diagonal
    matrix = matrix + np.diag(damping * scale + 1e-12 * scale.max(initial=1.0))
    step = np.linalg.solve(matrix, rhs) if len(rhs) else rhs
    point_rhs = system.point_rhs - np.stack([step @ system.mixed[i] for i in range(3)], axis=1)
    return step, np.einsum("pij,pj->pi", inverse, point_rhs)


def _apply(model: Model, layout: _Layout, step: ndarray) -> Model:
    pose, focal, distortion = model.cam_from_world.copy(), model.focal.copy(), model.distortion.copy()
    centre = model.centre.copy()
    for view in np.flatnonzero(layout.pose_slot >= 0):
        delta = step[layout.pose_slot[view] : layout.pose_slot[view] + 6]
        rotation = _rodrigues(delta[3:])
        pose[view, :3, :3] = rotation @ pose[view, :3, :3]
        pose[view, :3, 3] = rotation @ pose[view, :3, 3] + delta[:3]
    for view in np.flatnonzero(layout.intrinsics_slot >= 0):
        log_step, k1_step, *shift = step[layout.intrinsics_slot[view] : layout.intrinsics_slot[view] + INTRINSICS]
        ratio = focal[view, 0] / model.long_side[view]
        wanted = np.clip(ratio * np.exp(np.clip(log_step, -0.3, 0.3)), *FOCAL_RATIO_RANGE)
        focal[view] *= wanted / ratio
        distortion[view, 0] = np.clip(distortion[view, 0] + k1_step, -MAX_K1, MAX_K1)
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


def _focal_sigma(
    model: Model, tracks: Tracks, xyz: ndarray, config: CameraConfig, weights: ndarray, layout: _Layout
) -> dict[int, float]:
    if not layout.groups:
        return {}
    system = replace(_linearise(model, tracks, xyz, config, weights, layout), prior_diagonal=np.zeros(layout.size))
    start = layout.size - INTRINSICS * len(layout.groups)
    # The others keep their priors: what is asked is how well the data fix the focal length.
    keep = np.zeros(layout.size)
    for n, (_, inverse) in enumerate(_priors(model, config, layout)):
        keep[start + INTRINSICS * n + 1 : start + INTRINSICS * (n + 1)] = inverse[1:] ** 2
    matrix = _reduce(replace(system, prior_diagonal=keep), 0.0)[0]
    information = (
        matrix[start:, start:]
        - matrix[start:, :start]
        @ np.linalg.pinv(matrix[:start, :start], rcond=1e-10, hermitian=True)
        @ matrix[:start, start:]
    )
    covariance = np.linalg.pinv(information + 1e-12 * np.eye(len(information)), hermitian=True)
    sigmas = np.sqrt(np.maximum(np.diag(covariance)[::INTRINSICS], 0))
    return {group: float(s) for group, s in zip(layout.groups, sigmas, strict=True)}
