"""How well the photos fix the cameras: standard deviations from the bundle's normal equations (Triggs et al. 2000, section 9)."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import Model, to_camera
from sparse3d.priors.stereo.normal_equations import (
    INTRINSICS,
    Layout,
    layout_of,
    linearise,
    priors_of,
    reduce,
    temper,
)
from sparse3d.priors.stereo.tracks import Tracks

SYSTEMATIC = 3.0
"""Real errors over those that independent observations would leave: lenses are not ideal, patches not flat, and matches err
together. The median over 15 photo sets with true cameras (half of them between 2.2 and 4.3, rotations and positions alike)."""


def focal_sigma(
    model: Model, tracks: Tracks, xyz: ndarray, config: CameraConfig, *, hold_focal: bool = False
) -> dict[int, float]:
    """Standard deviation of the logarithmic focal length by the data alone, one a free group."""
    layout = layout_of(model, hold_focal)
    if not layout.groups:
        return {}
    system = replace(
        linearise(model, tracks, xyz, config, temper(tracks), layout), prior_diagonal=np.zeros(layout.size)
    )
    start = layout.size - INTRINSICS * len(layout.groups)
    # The others keep their priors: what is asked is how well the data fix the focal length.
    keep = np.zeros(layout.size)
    for n, (_, inverse) in enumerate(priors_of(model, config, layout)):
        keep[start + INTRINSICS * n + 1 : start + INTRINSICS * (n + 1)] = inverse[1:] ** 2
    matrix = reduce(replace(system, prior_diagonal=keep), 0.0)[0]
    information = (
        matrix[start:, start:]
        - matrix[start:, :start]
        @ np.linalg.pinv(matrix[:start, :start], rcond=1e-10, hermitian=True)
        @ matrix[:start, start:]
    )
    covariance = np.linalg.pinv(information + 1e-12 * np.eye(len(information)), hermitian=True)
    sigmas = np.sqrt(np.maximum(np.diag(covariance)[::INTRINSICS], 0))
    return {group: float(s) for group, s in zip(layout.groups, sigmas, strict=True)}


def pose_sigmas(
    model: Model, tracks: Tracks, points: Float[ndarray, "p 3"], config: CameraConfig
) -> tuple[Float[ndarray, " view"], Float[ndarray, " view"]]:
    """Standard deviations of orientation in degrees and of position in scene units, intrinsics and points being uncertain too.

    The frame and the scale of the world, which no photo tells, are chosen so that they are smallest.

    Args:
        tracks: the observations that agree with the points.

    Returns:
        One a view: 0 where the pose is held, NaN where it is not placed.
    """
    rotation = np.where(model.placed, 0.0, np.nan)
    position = rotation.copy()
    layout = layout_of(model, hold_focal=False)
    free = np.flatnonzero(layout.pose_slot >= 0)
    if len(free) == 0 or len(tracks.views) == 0:
        return rotation, position
    used, owner = np.unique(tracks.points, return_inverse=True)
    compact, xyz = replace(tracks, points=owner, count=len(used)), points[used]
    matrix = reduce(linearise(model, compact, xyz, config, temper(compact), layout), 0.0)[0]
    # In units of a typical depth, so that lengths and angles weigh alike in the choice of the frame.
    unit = float(np.median(to_camera(model, compact.views, xyz[owner])[:, 2]))
    scale = np.ones(layout.size)
    for view in free:
        scale[layout.pose_slot[view] : layout.pose_slot[view] + 3] = unit
    covariance = _inner_inverse(matrix * np.outer(scale, scale), _gauge(model, layout, free) / scale[:, None])
    variances = np.maximum(np.diag(covariance), 0)
    for view in free:
        at = layout.pose_slot[view]
        # A step of the translation in the camera's frame moves its centre by as much.
        position[view] = SYSTEMATIC * unit * np.sqrt(variances[at : at + 3].sum())
        rotation[view] = SYSTEMATIC * np.degrees(np.sqrt(variances[at + 3 : at + 6].sum()))
    return rotation, position


def _inner_inverse(matrix: Float[ndarray, "k k"], gauge: Float[ndarray, "k g"]) -> Float[ndarray, "k k"]:
    """Inverse on the complement of directions that change nothing: the covariance of inner constraints."""
    basis, strength, _ = np.linalg.svd(gauge, full_matrices=False)
    basis = basis[:, strength > 1e-9 * strength.max(initial=1e-300)]
    size = np.trace(matrix) / len(matrix)
    return np.linalg.pinv(matrix + size * basis @ basis.T, rcond=1e-14, hermitian=True) - basis @ basis.T / size


def _gauge(model: Model, layout: Layout, free: ndarray) -> Float[ndarray, "k g"]:
    """How the camera parameters change as the world is shifted, turned and scaled, as far as held cameras allow it."""
    held = np.flatnonzero(model.placed & ~model.pose_free)
    columns = np.zeros((layout.size, 7))
    for view in free:
        at, pose = layout.pose_slot[view], model.cam_from_world[view]
        rotation, translation = pose[:3, :3], pose[:3, 3]
        if len(held) == 0:
            columns[at : at + 3, :3] = -rotation
            columns[at : at + 3, 3:6] = np.cross(rotation.T, translation).T
            columns[at + 3 : at + 6, 3:6] = -rotation
            columns[at : at + 3, 6] = translation
        elif len(held) == 1:
            columns[at : at + 3, 6] = -rotation @ (model.centres[view] - model.centres[held[0]])
    return columns
