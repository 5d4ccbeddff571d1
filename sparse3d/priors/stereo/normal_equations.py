"""The normal equations of bundle adjustment: robust residuals and priors, linearised; points eliminated (Triggs et al. 2000)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import Model, distort, to_camera
from sparse3d.priors.stereo.tracks import Tracks

CAUCHY_SIGMAS = 2.0
"""Residuals beyond this many standard deviations lose influence."""

EFFECTIVE_OBSERVATIONS = 300
"""Matches err together (same surface, same blur), so that a view's data count as this many independent observations at
most when they are weighed against the priors."""

INTRINSICS = 5
"""Free parameters of a group: log focal, k1, k2, and the principal point's shift (x, y) over the longer side."""

HELD = 1e6
"""Inverse standard deviation of what is not to move."""

MIN_DEPTH = 1e-9

SINGLE_THREADED_PRODUCT = 200_000
"""Multiplications in one matrix product; OpenBLAS starts its threads at 262144."""


@dataclass(frozen=True)
class Layout:
    """Where the free parameters stand in the camera vector: 6 a free view, then `INTRINSICS` a free group."""

    pose_slot: ndarray
    intrinsics_slot: ndarray
    groups: tuple[int, ...]
    size: int


def layout_of(model: Model, hold_focal: bool) -> Layout:
    """What is free of the placed views."""
    pose_slot = np.full(len(model.group), -1)
    free = np.flatnonzero(model.pose_free & model.placed)
    pose_slot[free] = 6 * np.arange(len(free))
    base = 6 * len(free)
    groups = () if hold_focal else tuple(sorted(set(model.group[model.intrinsics_free & model.placed].tolist())))
    intrinsics_slot = np.full(len(model.group), -1)
    for n, group in enumerate(groups):
        intrinsics_slot[(model.group == group) & model.intrinsics_free] = base + INTRINSICS * n
    return Layout(pose_slot, intrinsics_slot, groups, base + INTRINSICS * len(groups))


def temper(tracks: Tracks) -> Float[ndarray, " view"]:
    """The factor on each view's data, so that they count as `EFFECTIVE_OBSERVATIONS` at most."""
    counts = np.bincount(tracks.views)
    return np.minimum(1.0, EFFECTIVE_OBSERVATIONS / np.maximum(counts, 1))


def whitened(model: Model, tracks: Tracks, xyz: ndarray) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Residuals in standard deviations, camera-frame points, normalised coordinates, and the distortion's Jacobian."""
    cam = to_camera(model, tracks.views, xyz[tracks.points])
    depth = np.where(np.abs(cam[:, 2]) < MIN_DEPTH, MIN_DEPTH, cam[:, 2])
    xy = cam[:, :2] / depth[:, None]
    bent, bend = distort(xy, model.distortion[tracks.views])
    projected = bent * model.focal[tracks.views] + model.centre[tracks.views]
    return (projected - tracks.pixels) / tracks.sigmas[:, None], cam, xy, bend


def robust_cost(
    model: Model, tracks: Tracks, xyz: ndarray, config: CameraConfig, weights: ndarray, layout: Layout
) -> float:
    residual, cam, _, _ = whitened(model, tracks, xyz)
    if (cam[:, 2] <= 0).any() or not np.isfinite(residual).all():
        return np.inf
    square = (residual**2).sum(1) / CAUCHY_SIGMAS**2
    data = (weights[tracks.views] * CAUCHY_SIGMAS**2 * np.log1p(square)).sum()
    prior = sum((r**2).sum() for r, _ in priors_of(model, config, layout))
    return float(0.5 * (data + prior))


def priors_of(model: Model, config: CameraConfig, layout: Layout) -> list[tuple[ndarray, ndarray]]:
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
        lens_inverse = [1 / sigma if sigma else HELD for sigma in (config.k1_sigma, config.k2_sigma)]
        inverse = np.array([focal_inverse, *lens_inverse, centre_inverse, centre_inverse])
        shift = (model.centre[view] - model.middle[view]) / model.long_side[view]
        bent = (model.distortion - model.lens)[view, :2]
        value = np.array([np.log(model.focal[view, 0] / expected), *bent, *shift])
        out.append((value * inverse, inverse))
    return out


@dataclass(frozen=True)
class System:
    """The normal equations: cameras (U), points (V), both (W as xyz, camera parameter, point), right-hand sides."""

    cameras: ndarray
    points: ndarray
    mixed: ndarray
    camera_rhs: ndarray
    point_rhs: ndarray
    prior_diagonal: ndarray


def linearise(
    model: Model, tracks: Tracks, xyz: ndarray, config: CameraConfig, weights: ndarray, layout: Layout
) -> System:
    """The normal equations around a model, robust weights included."""
    residual, cam, xy, bend = whitened(model, tracks, xyz)
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
    square = (xy**2).sum(1, keepdims=True)
    by_k1 = focal * root * xy * square
    by_centre = (model.long_side[tracks.views] / tracks.sigmas * root[:, 0])[:, None, None] * np.eye(2)
    blocks = np.concatenate(
        [by_cam, by_rotation, *(b[:, :, None] for b in (by_log_focal, by_k1, by_k1 * square)), by_centre], axis=2
    )
    system = _assemble(blocks, by_point, residual * root, tracks, layout)
    for n, (value, inverse) in enumerate(priors_of(model, config, layout)):
        start = layout.size - INTRINSICS * (len(layout.groups) - n)
        system.prior_diagonal[start : start + INTRINSICS] = inverse**2
        system.camera_rhs[start : start + INTRINSICS] -= value * inverse
    return system


def _assemble(blocks: ndarray, by_point: ndarray, target: ndarray, tracks: Tracks, layout: Layout) -> System:
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
    return System(cameras[:size, :size], points, mixed[:, :size], camera_rhs[:size], point_rhs, np.zeros(size))


def reduce(system: System, damping: float) -> tuple[ndarray, ndarray, ndarray]:
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


def solve(system: System, damping: float) -> tuple[ndarray, ndarray]:
    matrix, rhs, inverse = reduce(system, damping)
    scale = np.diag(system.cameras) + system.prior_diagonal
    matrix = matrix + np.diag(damping * scale + 1e-12 * scale.max(initial=1.0))
    step = np.linalg.solve(matrix, rhs) if len(rhs) else rhs
    point_rhs = system.point_rhs - np.stack([step @ system.mixed[i] for i in range(3)], axis=1)
    return step, np.einsum("pij,pj->pi", inverse, point_rhs)
