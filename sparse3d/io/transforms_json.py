"""nerfstudio's, instant-ngp's and Blender's `transforms.json`: camera-to-world poses with OpenGL axes."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import MAX_SIDE, checked_numbers, checked_pose, group_by_intrinsics
from sparse3d.io.json_files import read_json_object

SizeOf = Callable[[str], tuple[int, int] | None]

PERSPECTIVE_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")


def read_transforms_json(path: Path, *, size_of: SizeOf | None = None) -> Cameras:
    """Read cameras; `names` are the `file_path` entries as written, which may lack a suffix.

    Intrinsics stand in each frame or for all of them: `fl_x`, `fl_y`, `cx`, `cy`, `w`, `h`, `k1`, `k2`, `p1`, `p2`, or
    `camera_angle_x` (horizontal field of view in radians). Frames without a focal length have NaN intrinsics. All that
    is given is marked as known.

    Args:
        size_of: tells the size of the picture of a `file_path`; needed where the file does not give `w` and `h`, as
            Blender's do not.

    Raises:
        InputError: no such file, damaged, another camera model, or no size to be had; the message names the frame.
    """
    path = Path(path)
    document = read_json_object(path)
    frames = document.get("frames")
    if not isinstance(frames, list) or not frames:
        raise InputError(f"{path}: has no list 'frames' with at least one frame")
    names, poses, sizes, intrinsics, distortion = [], [], [], [], []
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
            raise InputError(f"{path}: frame number {index} has no 'file_path'")
        name = frame["file_path"]
        if name in names:
            raise InputError(f"{path}: frame {name!r} is listed twice; remove one")
        where = f"{path}: frame {name!r}"
        values = {key: value for key, value in document.items() if key != "frames"} | frame
        size = _size(where, values, None if size_of is None else size_of(name))
        names.append(name)
        sizes.append(size)
        intrinsics.append(_intrinsics(where, values, size))
        distortion.append(_distortion(where, values))
        poses.append(checked_pose(where, frame.get("transform_matrix")))
    K = torch.tensor(np.stack(intrinsics))
    return Cameras.from_opengl(
        torch.tensor(np.stack(poses)),
        K,
        sizes,
        distortion=torch.tensor(distortion, dtype=torch.float64),
        names=names,
        groups=group_by_intrinsics(sizes, K.tolist(), distortion),
        pose_known=True,
        intrinsics_known=K.isfinite().all(-1).all(-1).tolist(),
    )


def _size(where: str, values: dict[str, Any], photo_size: tuple[int, int] | None) -> tuple[int, int]:
    if "w" not in values or "h" not in values:
        if photo_size is None:
            raise InputError(f"{where}: there is no 'w' and 'h', and no photo of that name to take them from")
        return photo_size
    width, height = checked_numbers(where, values, ("w", "h"))
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(f"{where}: 'w' and 'h' must be from 1 to {MAX_SIDE} pixels")
    return round(width), round(height)


def _intrinsics(where: str, values: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """K; the field of view of Blender files is that of the picture's width, whatever its size."""
    width, height = size
    fx = _focal(where, values, "fl_x", "camera_angle_x", width)
    fy = _focal(where, values, "fl_y", "camera_angle_y", height)
    if fx is None and fy is None:
        return np.full((3, 3), np.nan)
    fx, fy = (fx or fy or 0.0), (fy or fx or 0.0)
    centre = {"cx": values.get("cx", width / 2), "cy": values.get("cy", height / 2)}
    cx, cy = checked_numbers(where, centre, ("cx", "cy"))
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _focal(where: str, values: dict[str, Any], key: str, angle_key: str, length: int) -> float | None:
    if key in values:
        [focal] = checked_numbers(where, values, (key,))
        if focal <= 0:
            raise InputError(f"{where}: {key} must be positive (in pixels), got {focal:g}")
        return focal
    if angle_key not in values:
        return None
    [angle] = checked_numbers(where, values, (angle_key,))
    if not 0 < angle < math.pi:
        raise InputError(f"{where}: {angle_key} must be between 0 and pi radians, got {angle:g}")
    return length / 2 / math.tan(angle / 2)


def _distortion(where: str, values: dict[str, Any]) -> list[float]:
    model = values.get("camera_model", "OPENCV")
    if model not in PERSPECTIVE_MODELS or values.get("is_fisheye"):
        raise InputError(f"{where}: camera model {model!r} is not supported; undistort the photos to a pinhole first")
    numbers = {key: values.get(key, 0.0) for key in ("k1", "k2", "p1", "p2", "k3", "k4")}
    k1, k2, p1, p2, k3, k4 = checked_numbers(where, numbers, tuple(numbers))
    if k3 or k4:
        raise InputError(f"{where}: distortion by k3 or k4 is not supported; undistort the photos first")
    return [k1, k2, p1, p2]
