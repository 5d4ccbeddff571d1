"""LLFF's `poses_bounds.npy` (Mildenhall et al. 2019)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.se3 import invert
from sparse3d.io.cameras_json import MAX_SIDE, checked_pose, group_by_intrinsics

MAX_VIEWS = 100_000


def read_llff(path: Path, names: Sequence[str]) -> Cameras:
    """Read poses and focal lengths: rows of 17 numbers, a 3x5 matrix [R | t | (h, w, f)] and nearest and farthest depth.

    R and t take camera to world coordinates, with camera axes (down, right, backwards); the principal point is the
    centre; the sizes are those that the file gives, which the photos at hand may be scaled from.

    Args:
        names: of the photos that the rows belong to, in sorted order.

    Raises:
        InputError: missing, damaged, or another number of rows than names.
    """
    path = Path(path)
    rows = load_rows(path)
    if len(rows) != len(names):
        raise InputError(
            f"{path}: has {len(rows)} poses for {len(names)} photos; the format names no photos, so that their sorted "
            "order must fit: put all photos of the file into one folder, or beside it as images/, and choose by --images"
        )
    matrices = rows[:, :15].reshape(-1, 3, 5)
    poses, sizes, intrinsics = [], [], []
    for name, matrix in zip(names, matrices, strict=True):
        where = f"{path}: the pose of {name!r}"
        down, right, backwards, centre, (height, width, focal) = matrix.T
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and focal > 0):
            raise InputError(f"{where}: height, width and focal length are {height:g}, {width:g}, {focal:g}")
        poses.append(checked_pose(where, np.stack([right, down, -backwards, centre], axis=1).tolist()))
        sizes.append((round(width), round(height)))
        intrinsics.append([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Cameras.build(
        invert(torch.tensor(np.stack(poses))),
        torch.tensor(np.array(intrinsics, dtype=np.float64)),
        sizes,
        names=names,
        groups=group_by_intrinsics(sizes, intrinsics, np.zeros((len(sizes), 4)).tolist()),
        pose_known=True,
        intrinsics_known=True,
    )


def load_rows(path: Path) -> np.ndarray:
    """The file's numbers, (n 17).

    Raises:
        InputError: missing, damaged, or of another shape.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        rows = np.load(path, allow_pickle=False, mmap_mode="r")
    except Exception as error:  # numpy raises ValueError, OSError, EOFError and SyntaxError on damaged headers
        raise InputError(f"{path}: is no numpy file or damaged ({error})") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 17 or rows.dtype.kind not in "fiu":
        shape = getattr(rows, "shape", "an archive")
        raise InputError(f"{path}: has the shape {shape}, expected (views, 17) numbers")
    if not 1 <= len(rows) <= MAX_VIEWS:
        raise InputError(f"{path}: has {len(rows)} poses, expected 1 to {MAX_VIEWS}")
    numbers = np.array(rows, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(f"{path}: holds NaN or infinity")
    return numbers
