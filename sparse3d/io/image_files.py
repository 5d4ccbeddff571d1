"""Single pictures: PNG written, anything readable read."""

import io
from collections.abc import Sequence
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


def read_image(path: Path, *, background: Sequence[float] | None = None) -> UInt8[ndarray, "h w 3"]:
    """Read any image as upright 8-bit RGB.

    Args:
        background: colour in [0, 1] that shows through where the image is transparent; without one, the colours stand as
            they are stored and transparency is ignored.

    Raises:
        InputError: missing, unreadable, truncated or too large.
    """
    path = Path(path)
    try:
        with px.open_image(path) as image:
            shown = px.to_rgb(image) if background is None else px.over(image, background)
            return px.turn_upright(shown, read_exif(image, path.name).orientation)
    except px.UnusablePhotoError as error:
        raise InputError(f"{path}: {error}") from error


def read_image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file, upright; its pixels are not decoded.

    Raises:
        InputError: missing or no image.
    """
    path = Path(path)
    try:
        with px.open_image(path) as image:
            return px.upright_size(image.size, read_exif(image, path.name).orientation)
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
