"""Pictures inside the report: small JPEGs as data URIs, together within a budget, and the error map's colours."""

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from sparse3d.io.image_files import to_bytes

Picture = UInt8[ndarray, "_h _w 3"] | Float[ndarray, "_h _w 3"] | UInt8[ndarray, "_h _w"] | Float[ndarray, "_h _w"]
"""RGB or grey; bytes, or floats in [0, 1]."""

BUDGET_BYTES = 6_500_000
"""For all JPEGs of a report together: in base64 they take a third more, and the report shall stay under 10 MB."""

LONGER_SIDES_PX = (720, 560, 440, 340, 260, 200, 150)
"""Tried one after the other until the pictures fit."""

JPEG_QUALITY = 82

FULL_SCALE_ERROR = 0.25
"""Mean absolute difference over the channels that gets the error map's brightest colour; one scale for all photos."""


def encode_pictures(pictures: Sequence[Picture], *, budget: int = BUDGET_BYTES) -> list[str]:
    """Encode pictures as data URIs, all shrunk to one longer side at which they fit the budget together."""
    images = [_to_image(picture) for picture in pictures]
    encoded: list[bytes] = []
    promising_side = float("inf")
    for side in LONGER_SIDES_PX:
        if side <= promising_side or side == LONGER_SIDES_PX[-1]:
            encoded = [_jpeg(image, side) for image in images]
            total = sum(map(len, encoded))
            if total <= budget:
                break
            # Bytes grow no faster than pixels, so what lies above this side will not fit either.
            promising_side = side * (budget / total) ** 0.5 * 1.2
    return [f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" for data in encoded]


def error_map(photo: Picture, rendering: Picture) -> UInt8[ndarray, "_h _w 3"]:
    """Colours of the mean absolute difference of two RGB pictures: black is none, yellow is `FULL_SCALE_ERROR` or more.

    Raises:
        ValueError: the sizes differ.
    """
    if photo.shape != rendering.shape:
        raise ValueError(f"a photo of shape {photo.shape} and a rendering of shape {rendering.shape}")
    return error_colours(np.abs(_to_float(photo) - _to_float(rendering)).mean(-1))


def error_colours(error: Float[ndarray, "h w"]) -> UInt8[ndarray, "h w 3"]:
    """RGB of mean absolute differences, found or expected, in the colours of `error_map`."""
    level = np.clip(error / FULL_SCALE_ERROR, 0, 1)
    coloured = cv2.applyColorMap(np.round(255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(coloured[..., ::-1])


def error_scale() -> str:
    """The scale of `error_colours` as a bar with its two ends, HTML."""
    colours = error_colours(np.linspace(0, FULL_SCALE_ERROR, 9)[None])[0]
    stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in colours.tolist())
    return (
        f'0 <span class="scale" style="background:linear-gradient(90deg,{stops})"></span> {FULL_SCALE_ERROR:g} or more'
    )


def _to_float(picture: Picture) -> Float[ndarray, "..."]:
    if picture.dtype == np.uint8:
        return picture.astype(np.float32) / 255
    return np.clip(np.nan_to_num(picture), 0, 1).astype(np.float32)


def _to_image(picture: Picture) -> Image.Image:
    rgb = np.repeat(picture[..., None], 3, axis=-1) if picture.ndim == 2 else picture
    return Image.fromarray(np.ascontiguousarray(to_bytes(rgb)))


def _jpeg(image: Image.Image, longer_side: int) -> bytes:
    small = image.copy()
    small.thumbnail((longer_side, longer_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()
