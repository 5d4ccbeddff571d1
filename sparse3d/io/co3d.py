"""Annotations of CO3D (Reizenstein et al. 2021): gzipped JSON, cameras with PyTorch3D's axes."""

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import MAX_SIDE, checked_numbers, checked_pose

MAX_BYTES = 2 * 2**30
"""The largest category has some hundreds of megabytes of annotations once unpacked."""


def read_annotations(path: Path) -> list[dict[str, Any]]:
    """The entries of `frame_annotations.jgz` or `sequence_annotations.jgz`.

    Raises:
        InputError: missing, damaged, or unreasonably large.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; it is part of every category of CO3D")
    try:
        with gzip.open(path) as file:
            content = file.read(MAX_BYTES + 1)
        entries = json.loads(content) if len(content) <= MAX_BYTES else None
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is damaged or not gzipped JSON ({error}); download the category again") from error
    if entries is None:
        raise InputError(f"{path}: unpacks to more than {MAX_BYTES / 2**30:.0f} GB, which is no file of annotations")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: is not a list of annotations")
    return entries


def read_viewpoint(
    where: str, entry: Mapping[str, Any]
) -> tuple[Float[ndarray, "3 3"], Float[ndarray, "4 4"], tuple[int, int]]:
    """K, cam_from_world and (width, height) of a frame's annotation.

    PyTorch3D has x left, y up, z forward and row vectors (`x_cam = x_world R + T`), and gives focal length and principal
    point in units of half the picture's shorter side ("ndc_isotropic") or of half of each side ("ndc_norm_image_bounds"),
    from its centre, leftwards and upwards.

    Raises:
        InputError: something is missing or makes no sense; the message begins with `where`.
    """
    try:
        image, viewpoint = entry["image"], entry["viewpoint"]
        height, width = (int(x) for x in image["size"])
        rotation, translation = np.array(viewpoint["R"], dtype=np.float64), np.array(viewpoint["T"], dtype=np.float64)
        focal, centre = list(viewpoint["focal_length"]), list(viewpoint["principal_point"])
        kind = str(viewpoint.get("intrinsics_format", "ndc_norm_image_bounds")).lower()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: is not a frame's annotation ({error!r})") from error
    if rotation.shape != (3, 3) or translation.shape != (3,) or len(focal) != 2 or len(centre) != 2:
        raise InputError(f"{where}: its viewpoint has not the shapes R 3x3, T 3, focal_length 2, principal_point 2")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(f"{where}: gives the size {width}x{height}")
    fx, fy, px, py = checked_numbers(
        where, dict(zip(("fx", "fy", "px", "py"), (*focal, *centre), strict=True)), ("fx", "fy", "px", "py")
    )
    units = {"ndc_norm_image_bounds": (width / 2, height / 2), "ndc_isotropic": (min(width, height) / 2,) * 2}
    if kind not in units:
        raise InputError(f"{where}: intrinsics_format {kind!r} is not one of {', '.join(units)}")
    unit_x, unit_y = units[kind]
    if fx <= 0 or fy <= 0:
        raise InputError(f"{where}: its focal length is not positive")
    K = np.array([[fx * unit_x, 0, width / 2 - px * unit_x], [0, fy * unit_y, height / 2 - py * unit_y], [0, 0, 1.0]])
    flip = np.diag([-1.0, -1.0, 1.0])
    return K, checked_pose(where, np.column_stack([flip @ rotation.T, flip @ translation]).tolist()), (width, height)
