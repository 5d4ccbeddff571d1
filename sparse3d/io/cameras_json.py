"""`cameras.json`: the program's own format of cameras, read as known cameras and written as result."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.se3 import nearest_rotation
from sparse3d.io.atomic import atomic_write_text
from sparse3d.io.json_files import read_json_object

VERSION = 1
MAX_SIDE = 100_000
MAX_PIXEL = 1e8
"""Largest focal length and coordinate of a principal point that are believed: a thousand times the largest image."""
MAX_COORDINATE = 1e12
"""Largest coordinate of a camera: float32 squares it without overflow, and no map has larger ones."""
ORTHONORMAL_TOLERANCE = 1e-3
"""How far R R^T may be from the identity; below it the nearest rotation is taken."""

_INTRINSICS = ("fx", "fy", "cx", "cy")


def read_cameras_json(path: Path) -> Cameras:
    """Read cameras; `names` are the `file` entries as written.

    A camera without `cam_from_world` has a NaN pose, one without `fx`, `fy`, `cx`, `cy` has NaN intrinsics; what is
    given is marked as known. Cameras with the same size, intrinsics and distortion share a group. Entries that are not
    part of the format are ignored. Format: docs/file-formats.md.

    Raises:
        InputError: the file is missing, is no such file, or a camera makes no sense; the message names file and camera.
    """
    path = Path(path)
    document = read_json_object(path)
    if document.get("version") != VERSION:
        raise InputError(f"{path}: version {document.get('version')!r}; this program reads version {VERSION}")
    if document.get("axes") != "opencv":
        raise InputError(
            f"{path}: axes {document.get('axes')!r}, expected 'opencv' (x right, y down, z forward); "
            "convert the poses, or give a nerfstudio file as transforms.json"
        )
    entries = document.get("cameras")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: has no list 'cameras' with at least one camera")
    names: list[str] = []
    for index, entry in enumerate(entries):
        name = _checked_name(path, index, entry)
        if name in names:
            raise InputError(f"{path}: camera {name!r} is listed twice; remove one")
        names.append(name)
    parsed = [parse_camera(f"{path}: camera {name!r}", entry) for name, entry in zip(names, entries, strict=True)]
    sizes, intrinsics, distortion, poses = zip(*parsed, strict=True)
    K = torch.tensor(np.stack(intrinsics))
    cam_from_world = torch.tensor(np.stack(poses))
    return Cameras.build(
        cam_from_world,
        K,
        sizes,
        distortion=torch.tensor(distortion, dtype=torch.float64),
        names=names,
        groups=group_by_intrinsics(sizes, K.tolist(), distortion),
        pose_known=cam_from_world.isfinite().all(-1).all(-1).tolist(),
        intrinsics_known=K.isfinite().all(-1).all(-1).tolist(),
    )


def true_depth_files(path: Path) -> dict[str, Path]:
    """Where the true depth of each camera stands, by the cameras' names; only those with an entry `depth`.

    Raises:
        InputError: the file is missing or no such file, or an entry leads out of its folder.
    """
    path = Path(path)
    files = {}
    for index, entry in enumerate(read_json_object(path).get("cameras") or []):
        depth = entry.get("depth") if isinstance(entry, dict) else None
        if depth is not None:
            files[_checked_name(path, index, entry)] = path.parent / _checked_name(path, index, {"file": depth})
    return files


def write_cameras_json(path: Path, cameras: Cameras, *, extra: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Write cameras. Distortion is left out where it is zero, a pose or intrinsics where they are NaN.

    Args:
        extra: further entries for the camera of a name, such as `{"a.jpg": {"depth": "depth/a.png"}}`.

    Raises:
        InputError: the file cannot be written.
    """
    entries = [
        {"file": n} | camera_entry(cameras, i) | dict((extra or {}).get(n, {})) for i, n in enumerate(cameras.names)
    ]
    lines = ",\n".join(" " + json.dumps(entry, allow_nan=False) for entry in entries)
    atomic_write_text(Path(path), f'{{"version": {VERSION}, "axes": "opencv", "cameras": [\n{lines}\n]}}\n')


def camera_entry(cameras: Cameras, index: int) -> dict[str, Any]:
    """One camera as plain values, without its name; distortion is left out where it is zero, what is NaN as well."""
    entry: dict[str, Any] = {"width": cameras.sizes[index][0], "height": cameras.sizes[index][1]}
    K = cameras.K[index].detach().double().cpu()
    if K.isfinite().all():
        entry |= zip(_INTRINSICS, (K[0, 0].item(), K[1, 1].item(), K[0, 2].item(), K[1, 2].item()), strict=True)
    if (cameras.distortion[index] != 0).any():
        entry["distortion"] = cameras.distortion[index].detach().double().cpu().tolist()
    pose = cameras.cam_from_world[index].detach().double().cpu()
    if pose.isfinite().all():
        entry["cam_from_world"] = pose.tolist()
    return entry


def group_by_intrinsics(sizes: Any, intrinsics: Any, distortion: Any) -> list[int]:
    """Number cameras such that those of equal size, finite intrinsics and distortion share a number, from 0 up.

    Args:
        sizes, intrinsics, distortion: sequences with one entry a camera: (width, height), K as nested lists, 4 numbers.
    """
    numbers: dict[Any, int] = {}
    groups = []
    for i, (size, K, k1_k2_p1_p2) in enumerate(zip(sizes, intrinsics, distortion, strict=True)):
        flat = tuple(float(x) for row in K for x in row)
        known = all(map(math.isfinite, flat))
        key = (tuple(size), flat, tuple(float(x) for x in k1_k2_p1_p2)) if known else i
        groups.append(numbers.setdefault(key, len(numbers)))
    return groups


def checked_pose(where: str, matrix: Any) -> np.ndarray:
    """A rigid 4x4 transform from nested lists, its rotation made exactly orthonormal.

    Raises:
        InputError: it is not 4x4 numbers, not finite, or not rigid; the message begins with `where`.
    """
    try:
        pose = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: its pose is not a 4x4 matrix of numbers") from error
    if pose.shape == (3, 4):
        pose = np.vstack([pose, [0, 0, 0, 1]])
    if pose.shape != (4, 4):
        raise InputError(f"{where}: its pose is not a 4x4 matrix of numbers")
    if not np.isfinite(pose).all():
        raise InputError(f"{where}: its pose holds NaN or infinity; leave the pose out where it is unknown")
    if np.abs(pose).max() > MAX_COORDINATE:
        raise InputError(f"{where}: its pose holds numbers beyond {MAX_COORDINATE:g}; give it in a smaller unit")
    rotation = pose[:3, :3]
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if (
        error > ORTHONORMAL_TOLERANCE
        or np.linalg.det(rotation) < 0
        or not np.allclose(pose[3], [0, 0, 0, 1], atol=1e-6)
    ):
        raise InputError(
            f"{where}: its pose is not a rigid transform (R R^T is off by {error:.2g}, determinant "
            f"{np.linalg.det(rotation):.3g}); a rotation without scale or mirroring is needed"
        )
    pose[:3, :3] = nearest_rotation(torch.tensor(rotation)).numpy()
    pose[3] = [0, 0, 0, 1]
    return pose


def checked_numbers(where: str, entry: Mapping[str, Any], keys: tuple[str, ...]) -> list[float]:
    """Finite numbers of these keys.

    Raises:
        InputError: one is missing, no number or not finite; the message begins with `where`.
    """
    values = []
    for key in keys:
        value = entry.get(key)
        try:
            number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise InputError(f"{where}: {key} is {str(value)[:40]!r}, expected a finite number")
        values.append(number)
    return values


def _checked_name(path: Path, index: int, entry: Any) -> str:
    if not isinstance(entry, dict):
        raise InputError(f"{path}: camera number {index} is not an object {{...}}")
    name = entry.get("file")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{path}: camera number {index} has no 'file' that names its photo")
    # Renderings are written under these names: one must not lead out of the output folder.
    if "\\" in name or "\0" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise InputError(f"{path}: camera {name!r}: 'file' must be a relative path without '..' or backslashes")
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: camera {name!r}: 'file' is not a name that a file can have") from error
    return name


def parse_camera(where: str, entry: dict[str, Any]) -> tuple[tuple[int, int], np.ndarray, list[float], np.ndarray]:
    """Size, K, distortion and pose of one entry.

    Raises:
        InputError: it makes no sense; the message begins with `where`.
    """
    width, height = (int(x) if x == int(x) else 0 for x in checked_numbers(where, entry, ("width", "height")))
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise InputError(f"{where}: width and height must be whole numbers from 1 to {MAX_SIDE}")
    K = np.full((3, 3), np.nan)
    if any(entry.get(key) is not None for key in _INTRINSICS):
        fx, fy, cx, cy = checked_numbers(where, entry, _INTRINSICS)
        if fx <= 0 or fy <= 0:
            raise InputError(f"{where}: fx and fy must be positive (in pixels), got {fx:g} and {fy:g}")
        if max(fx, fy, abs(cx), abs(cy)) > MAX_PIXEL:
            raise InputError(f"{where}: fx, fy, cx, cy are in pixels and at most {MAX_PIXEL:g}, got {[fx, fy, cx, cy]}")
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    distortion = entry.get("distortion")
    distortion = [0.0] * 4 if distortion is None else distortion
    if not isinstance(distortion, list) or len(distortion) != 4:
        raise InputError(f"{where}: distortion must be the four numbers k1, k2, p1, p2")
    distortion = checked_numbers(
        where, dict(zip(("k1", "k2", "p1", "p2"), distortion, strict=True)), ("k1", "k2", "p1", "p2")
    )
    pose = entry.get("cam_from_world")
    return (width, height), K, distortion, np.full((4, 4), np.nan) if pose is None else checked_pose(where, pose)
