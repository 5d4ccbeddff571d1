"""The world frame of cameras found from nothing."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

MIN_MEAN = 0.1
"""A mean of unit vectors shorter than this has no direction worth following."""


def tidy_frame(
    cam_from_world: Float[ndarray, "view 4 4"], depths: Float[ndarray, " d"]
) -> tuple[float, Float[ndarray, "3 3"], Float[ndarray, "3"]]:
    """The similarity `new = scale * rotation @ old + translation` to an upright frame of friendly size.

    In the new frame the cameras' mean up is -y (y points down, as in OpenCV's cameras), their mean viewing direction
    lies in the half-plane of +z, the cameras' mean centre is the origin, and the median depth of the points in the
    views that see them is one.

    Args:
        cam_from_world: the placed cameras.
        depths: z-depth of every observation.
    """
    rotations = cam_from_world[:, :3, :3]
    down = rotations[:, 1].mean(0)
    if np.linalg.norm(down) < MIN_MEAN:
        down = rotations[0, 1]
    down = down / np.linalg.norm(down)
    forward = rotations[:, 2].mean(0)
    for candidate in (forward, rotations[0, 2], rotations[0, 0]):
        level = candidate - down * (candidate @ down)
        if np.linalg.norm(level) > MIN_MEAN:
            forward = level / np.linalg.norm(level)
            break
    rotation = np.stack([np.cross(down, forward), down, forward])
    centres = -np.einsum("vji,vj->vi", rotations, cam_from_world[:, :3, 3])
    median = float(np.median(depths)) if len(depths) else 1.0
    scale = 1.0 / median if median > 0 else 1.0
    return scale, rotation, -scale * rotation @ centres.mean(0)


def move_cameras(
    cam_from_world: Float[ndarray, "view 4 4"],
    scale: float,
    rotation: Float[ndarray, "3 3"],
    translation: Float[ndarray, "3"],
) -> Float[ndarray, "view 4 4"]:
    """Cameras in the frame of `new = scale * rotation @ old + translation`; NaN stays NaN."""
    moved = cam_from_world.copy()
    moved[:, :3, :3] = cam_from_world[:, :3, :3] @ rotation.T
    # cam = R old + t, times scale: scale * cam = (R rotation^T) new - (R rotation^T) translation + scale * t.
    moved[:, :3, 3] = scale * cam_from_world[:, :3, 3] - moved[:, :3, :3] @ translation
    return moved


def move_points(
    points: Float[ndarray, "p 3"], scale: float, rotation: Float[ndarray, "3 3"], translation: Float[ndarray, "3"]
) -> Float[ndarray, "p 3"]:
    """Points in the frame of `new = scale * rotation @ old + translation`."""
    return scale * points @ rotation.T + translation
