"""Projection matrices, by which the DTU data set gives its cameras: as text files, or in the `cameras.npz` of IDR."""

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import rq

from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import checked_pose
from sparse3d.io.text_numbers import read_number_rows

MAX_SKEW = 0.01
"""Largest skew, as a share of the focal length, that is taken for noise of the calibration: our cameras have none."""

CENTRE_SHIFT = 0.5
"""These calibrations put (0, 0) at the centre of the first pixel, we put it at its corner."""


def read_projection_text(path: Path) -> Float[ndarray, "3 4"]:
    """A 3x4 projection matrix from a text file of three rows, such as DTU's `pos_001.txt`.

    Raises:
        InputError: missing, or of another shape.
    """
    rows = read_number_rows(path)
    if [len(row) for row in rows] != [4, 4, 4]:
        raise InputError(f"{path}: is not a 3x4 projection matrix; is it a pos_NNN.txt of DTU's cal18?")
    return np.array(rows)


def read_idr_projections(path: Path) -> list[Float[ndarray, "3 4"]]:
    """The projections `world_mat_0`, `world_mat_1`, ... of IDR's cameras.npz (Yariv et al. 2020), in the data set's world.

    Raises:
        InputError: missing, damaged, or without these matrices.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            count = sum(key.startswith("world_mat_") and "inv" not in key for key in archive.files)
            matrices = [np.asarray(archive[f"world_mat_{i}"], dtype=np.float64) for i in range(count)]
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is no cameras.npz of IDR or damaged ({error})") from error
    if not matrices or any(m.shape not in ((4, 4), (3, 4)) or not np.isfinite(m).all() for m in matrices):
        raise InputError(f"{path}: has no world_mat_0, world_mat_1, ... of 4x4 finite numbers")
    return [m[:3] for m in matrices]


def decompose_projection(
    where: str, projection: Float[ndarray, "3 4"]
) -> tuple[Float[ndarray, "3 3"], Float[ndarray, "4 4"]]:
    """K and cam_from_world of a projection matrix `P = s K [R | t]` of any scale and sign s.

    RQ decomposition, Hartley and Zisserman, Multiple View Geometry, section 6.2.4. The principal point is moved from
    pixel centres at whole numbers to ours at +0.5.

    Raises:
        InputError: it is no projection of a camera without skew; the message begins with `where`.
    """
    matrix = projection[:, :3]
    if not np.isfinite(projection).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise InputError(f"{where}: its projection matrix has no inverse; is the file complete?")
    projection = projection * np.sign(np.linalg.det(matrix))
    K, rotation = rq(projection[:, :3])
    signs = np.diag(np.sign(np.diag(K)))
    K, rotation = K @ signs, signs @ rotation
    translation = np.linalg.solve(K, projection[:, 3])
    K = K / K[2, 2]
    if abs(K[0, 1]) > MAX_SKEW * K[0, 0]:
        raise InputError(f"{where}: its projection matrix has a skew of {K[0, 1]:.3g} px, which is not supported")
    K[0, 1] = 0.0
    K[:2, 2] += CENTRE_SHIFT
    return K, checked_pose(where, np.column_stack([rotation, translation]).tolist())
