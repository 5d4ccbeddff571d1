"""The `.camera` files of the multi-view data of Strecha et al. 2008."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import MAX_SIDE, checked_pose
from sparse3d.io.projection import CENTRE_SHIFT
from sparse3d.io.text_numbers import read_number_rows

_ROWS = [3, 3, 3, 3, 3, 3, 3, 3, 2]


def read_strecha_camera(
    path: Path,
) -> tuple[Float[ndarray, "3 3"], Float[ndarray, "4 4"], Float[ndarray, "4"], tuple[int, int]]:
    """K, cam_from_world, distortion and (width, height) of a camera.

    The file has rows of numbers: K (3x3), radial distortion k1, k2 and a third number (zeros: the photos are
    undistorted), the camera's orientation R (3x3, camera to world), its centre in the world, width and height.

    Raises:
        InputError: missing or malformed, or with a distortion that is not supported.
    """
    rows = read_number_rows(path)
    if [len(row) for row in rows] != _ROWS:
        raise InputError(f"{path}: is not a .camera file (K, distortion, R, centre, size); is it complete?")
    K, rotation, centre = np.array(rows[:3]), np.array(rows[4:7]), np.array(rows[7])
    k1, k2, third = rows[3]
    width, height = rows[8]
    if third:
        raise InputError(
            f"{path}: has a third radial distortion {third:g}, which is not supported; undistort the photo"
        )
    if not (K[0, 0] > 0 and K[1, 1] > 0) or not np.array_equal(K[2], [0, 0, 1]):
        raise InputError(f"{path}: its first three rows are not the intrinsics of a camera")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(f"{path}: gives the size {width:g}x{height:g}")
    K[0, 1] = 0.0
    K[:2, 2] += CENTRE_SHIFT
    cam_from_world = checked_pose(str(path), np.column_stack([rotation.T, -rotation.T @ centre]).tolist())
    return K, cam_from_world, np.array([k1, k2, 0.0, 0.0]), (round(width), round(height))
