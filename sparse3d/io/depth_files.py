"""Depth maps: numbers as npz, pictures as colour PNG, and the 16-bit millimetres of data sets."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray

from sparse3d.core.errors import InputError
from sparse3d.io import pixels as px
from sparse3d.io.arrays import load_arrays, save_arrays
from sparse3d.io.atomic import atomic_write_bytes

COLOUR_RANGE_PERCENTILES = (2.0, 98.0)
"""The colours span these percentiles of the inverse depth, so that a few wrong depths do not wash out the rest."""

MILLIMETRES_PER_UNIT = 1000.0


def write_depth_npz(path: Path, depth: Float[ndarray, "h w"], confidence: Float[ndarray, "h w"]) -> None:
    """Write a depth map and its confidence as float32 arrays `depth` and `confidence` of an npz file.

    Args:
        depth: z-depth in scene units; 0 where unknown.
        confidence: in [0, 1].

    Raises:
        InputError: the file cannot be written.
    """
    arrays = {"depth": depth.astype(np.float32), "confidence": confidence.astype(np.float32)}
    save_arrays(path, arrays, {"kind": "depth"})


def read_depth_npz(path: Path) -> tuple[Float[ndarray, "h w"], Float[ndarray, "h w"]]:
    """Read depth and confidence as `write_depth_npz` wrote them.

    Raises:
        InputError: missing, damaged, or another kind of npz file.
    """
    arrays, _ = load_arrays(path)
    depth, confidence = arrays.get("depth"), arrays.get("confidence")
    if depth is None or confidence is None or depth.ndim != 2 or depth.shape != confidence.shape:
        raise InputError(f"{path}: does not hold arrays 'depth' and 'confidence' of one size (h w)")
    return depth.astype(np.float32), confidence.astype(np.float32)


def write_depth_png(
    path: Path, depth: Float[ndarray, "h w"], *, depth_range: tuple[float, float] | None = None
) -> None:
    """Write a picture of a depth map: near is warm, far is cold, unknown is black; to look at, not to compute with.

    Raises:
        InputError: the file cannot be written.
    """
    atomic_write_bytes(path, px.encode_png(colour_depth(depth, depth_range=depth_range)))


def colour_depth(
    depth: Float[ndarray, "h w"], *, depth_range: tuple[float, float] | None = None
) -> UInt8[ndarray, "h w 3"]:
    """RGB picture of z-depth by OpenCV's turbo map over the inverse depth; black where depth is not a positive number.

    Args:
        depth_range: nearest and farthest depth of the colour scale; the 2nd to 98th percentile where absent.
    """
    known = np.isfinite(depth) & (depth > 0)
    inverse = np.zeros(depth.shape, dtype=np.float64)
    inverse[known] = 1 / depth[known]
    if depth_range is not None:
        low, high = 1 / depth_range[1], 1 / depth_range[0]
    elif known.any():
        low, high = np.percentile(inverse[known], COLOUR_RANGE_PERCENTILES)
    else:
        low, high = 0.0, 1.0
    level = np.clip((inverse - low) / max(high - low, 1e-12), 0, 1)
    coloured = cv2.applyColorMap(np.round(level * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(known[..., None], coloured, 0).astype(np.uint8)


def write_depth_mm(path: Path, depth: Float[ndarray, "h w"]) -> None:
    """Write z-depth in metres as 16-bit millimetres PNG; unknown or beyond 65.535 m becomes 0.

    Raises:
        InputError: the file cannot be written.
    """
    millimetres = np.nan_to_num(depth, posinf=0.0, neginf=0.0) * MILLIMETRES_PER_UNIT
    millimetres[(millimetres < 0) | (millimetres > 65535)] = 0
    atomic_write_bytes(path, px.encode_png(np.round(millimetres).astype(np.uint16)))


def read_depth_mm(path: Path) -> Float[ndarray, "h w"]:
    """Read a 16-bit millimetres PNG, such as the `depth` entry of cameras.json names, as float32 metres; 0 is unknown.

    Raises:
        InputError: missing, damaged, or not one channel of 16 bits.
    """
    return _read_16_bit(Path(path)).astype(np.float32) / np.float32(MILLIMETRES_PER_UNIT)


def _read_16_bit(path: Path) -> UInt16[ndarray, "h w"]:
    try:
        with px.open_image(path) as image:
            mode = image.mode
            values = np.asarray(image) if mode.startswith("I") else None
    except px.UnusablePhotoError as error:
        raise InputError(f"{path}: {error}") from error
    if values is None or values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise InputError(f"{path}: is a picture of mode {mode}, expected one channel of 16 bits (millimetres)")
    return values.astype(np.uint16)
