"""Single pictures: PNG written, anything readable read."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image

from sparse3d.core.errors import InputError
from sparse3d.io import pixels as px
from sparse3d.io.atomic import atomic_write_bytes
from sparse3d.io.exif import read_exif


def write_png(path: Path, rgb: Float[ndarray, "h w 3"] | UInt8[ndarray, "h w 3"]) -> None:
    """Write an 8-bit RGB PNG atomically; floats are in [0, 1], rounded and cut off, NaN is black.

    Raises:
        InputError: the file cannot be written.
    """
    atomic_write_bytes(path, px.encode_png(to_bytes(rgb)))


def write_jpeg(path: Path, rgb: Float[ndarray, "h w 3"] | UInt8[ndarray, "h w 3"], *, quality: int = 90) -> None:
    """Write an 8-bit RGB JPEG atomically; values and errors as in `write_png`."""
    buffer = io.BytesIO()
    Image.fromarray(to_bytes(rgb)).save(buffer, "JPEG", quality=quality)
    atomic_write_bytes(path, buffer.getvalue())


def read_image(path: Path) -> UInt8[ndarray, "h w 3"]:
    """Read any image as upright 8-bit RGB.

    Raises:
        InputError: missing, unreadable, truncated or too large.
    """
    path = Path(path)
    try:
        with px.open_image(path) as image:
            return px.turn_upright(px.to_rgb(image), read_exif(image, path.name).orientation)
    except px.UnusablePhotoError as error:
        raise InputError(f"{path}: {error}") from error


def read_mask(path: Path) -> Bool[ndarray, "h w"]:
    """Read a mask, upright: True where a pixel is not black.

    Raises:
        InputError: missing, unreadable, truncated or too large.
    """
    path = Path(path)
    try:
        with px.open_image(path) as image:
            return px.turn_upright(px.to_nonzero(image), read_exif(image, path.name).orientation)
    except px.UnusablePhotoError as error:
        raise InputError(f"{path}: {error}") from error


def to_bytes(rgb: Float[ndarray, "h w 3"] | UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "h w 3"]:
    """Floats in [0, 1] to 0..255; bytes pass."""
    if rgb.dtype == np.uint8:
        return rgb
    return np.round(np.clip(np.nan_to_num(rgb), 0, 1) * 255).astype(np.uint8)
