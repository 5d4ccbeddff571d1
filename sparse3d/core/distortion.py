"""Lens distortion (OpenCV's k1, k2, p1, p2): points, and pictures resampled between distorted and pinhole cameras.

Pixel centres lie at +0.5 here and at integers in OpenCV, so that `cx_opencv = cx - 0.5`; the shift is made in this file
alone. Points are (x, y) in pixels, intrinsics 3x3 arrays, sizes (width, height).
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from numpy import ndarray

from sparse3d.core.lens import beyond_fold, distort_points, undistort_points

__all__ = [
    "beyond_fold",
    "distort_image",
    "distort_points",
    "render_camera_for",
    "resize_image",
    "undistort_image",
    "undistort_mask",
    "undistort_points",
    "undistorted_camera",
    "visible_border",
]

MAX_CANVAS_GROWTH = 2.5
"""A pinhole canvas may be at most this many times wider and higher than the photo; wider fields of view are cut."""

BORDER_SAMPLES = 33
"""Samples along each side of an image by which the extent of its undistorted picture is measured."""

BAND_ROWS = 128

OUTSIDE = -1e5
"""A pixel coordinate outside of every image."""

Size = tuple[int, int]


def undistorted_camera(
    K: Float[ndarray, "3 3"], distortion: Float[ndarray, "4"], size: Size, max_side: int
) -> tuple[Float[ndarray, "3 3"], Size]:
    """The pinhole camera to work in: the photo's field of view at a working resolution.

    The image keeps its aspect (to the rounding of its sides) and the place of its principal point. Under distortion the
    focal length is half-way (as a factor) between the view that shows nothing from outside of the photo and the view
    that loses no pixel of it: strong borders are avoided, hardly any content is cut.

    Args:
        max_side: pixels of the longer side; smaller photos keep their size.

    Returns:
        K and (width, height) of the new camera, for `undistort_image`.
    """
    scale = min(1.0, max_side / max(size))
    new_size = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    new_K = _scale_intrinsics(K, (new_size[0] / size[0], new_size[1] / size[1]))
    if distortion.any():
        zoom = _balanced_zoom(K, distortion, size)
        new_K[0, 0] *= zoom
        new_K[1, 1] *= zoom
    return new_K, new_size


def render_camera_for(
    K: Float[ndarray, "3 3"], distortion: Float[ndarray, "4"], size: Size
) -> tuple[Float[ndarray, "3 3"], Size]:
    """An undistorted pinhole whose image covers all of a distorted target image, for `distort_image`.

    Same focal lengths as the target, so that the resolution is the same in the centre; the canvas is as much larger as
    needed, up to `MAX_CANVAS_GROWTH`.

    Returns:
        K and (width, height) of the pinhole; the target's own where it has no distortion.
    """
    if not distortion.any():
        return K.copy(), size
    extent = undistort_points(_border(size), K, distortion)
    extent = extent[np.isfinite(extent).all(1)]
    bounds = []
    for axis, length in enumerate(size):
        growth = (MAX_CANVAS_GROWTH - 1) / 2 * length
        low = math.floor(min(0.0, extent[:, axis].min(initial=0.0))) - 1
        high = math.ceil(max(length, extent[:, axis].max(initial=0.0))) + 1
        bounds.append((max(low, -math.ceil(growth)), min(high, length + math.ceil(growth))))
    render_K = K.copy()
    render_K[0, 2] -= bounds[0][0]
    render_K[1, 2] -= bounds[1][0]
    return render_K, (bounds[0][1] - bounds[0][0], bounds[1][1] - bounds[1][0])


def visible_border(K: Float[ndarray, "3 3"], distortion: Float[ndarray, "4"], size: Size) -> float:
    """The share of an image's border that shows anything: 1 for a sound lens; less where the model folds in the image."""
    return float(np.isfinite(undistort_points(_border(size), K, distortion)).all(1).mean())


def undistort_image(
    pixels: Float[ndarray, "h w 3"] | UInt8[ndarray, "h w 3"],
    K: Float[ndarray, "3 3"],
    distortion: Float[ndarray, "4"],
    new_K: Float[ndarray, "3 3"],
    new_size: Size,
) -> tuple[Float[ndarray, "hn wn 3"], Float[ndarray, "hn wn"]]:
    """Resample a photo into a pinhole camera, anti-aliased where it gets smaller.

    Args:
        pixels: the photo; floats in [0, 1] or bytes.
        K, distortion: of the photo.
        new_K, new_size: of the pinhole camera, such as from `undistorted_camera`.

    Returns:
        The picture, float32 in [0, 1], and a float32 mask: 1 where its pixel's centre lies within the photo, else 0.
    """
    source = _as_float(pixels)
    size = (source.shape[1], source.shape[0])
    plain_resize = _scale_intrinsics(K, (new_size[0] / size[0], new_size[1] / size[1]))
    if not distortion.any() and np.allclose(plain_resize, new_K, rtol=1e-9, atol=1e-6):
        return resize_image(source, new_size), np.ones(new_size[::-1], dtype=np.float32)
    shrink = min(1.0, max(new_K[0, 0] / K[0, 0], new_K[1, 1] / K[1, 1]))
    if shrink < 1:
        small_size = (max(1, math.ceil(size[0] * shrink)), max(1, math.ceil(size[1] * shrink)))
        source = resize_image(source, small_size)
        K = _scale_intrinsics(K, (small_size[0] / size[0], small_size[1] / size[1]))

    def source_of(targets: ndarray) -> ndarray:
        where = distort_points(targets, new_K, distortion, K)
        where[beyond_fold(targets, new_K, distortion)] = OUTSIDE
        return where

    return _sample(source, _map_by_rows(new_size, source_of))


def distort_image(
    rendering: Float[ndarray, "h w 3"],
    K_render: Float[ndarray, "3 3"],
    K_target: Float[ndarray, "3 3"],
    distortion: Float[ndarray, "4"],
    target_size: Size,
) -> Float[ndarray, "ht wt 3"]:
    """Make the picture that a camera with a distorting lens takes from a pinhole rendering at the same place.

    Args:
        rendering: floats in [0, 1], by the pinhole `K_render`, such as from `render_camera_for`.
        K_target, distortion, target_size: of the picture wanted.

    Returns:
        The picture, float32; where the rendering does not reach, its nearest border pixel.
    """
    if not distortion.any() and np.array_equal(K_render, K_target) and target_size == rendering.shape[1::-1]:
        return rendering.astype(np.float32)

    def source_of(targets: ndarray) -> ndarray:
        return np.nan_to_num(undistort_points(targets, K_target, distortion, K_render), nan=OUTSIDE)

    return _sample(_as_float(rendering), _map_by_rows(target_size, source_of))[0]


def resize_image(image: Float[ndarray, "h w 3"], new_size: Size) -> Float[ndarray, "hn wn 3"]:
    """Scale a picture, by area where it gets smaller and bicubically where it gets larger; float32 in, float32 out."""
    size = (image.shape[1], image.shape[0])
    if size == new_size:
        return image
    smaller = new_size[0] <= size[0] and new_size[1] <= size[1]
    scaled = cv2.resize(image, new_size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.clip(scaled, 0, 1)


def undistort_mask(
    mask: Bool[ndarray, "h w"],
    K: Float[ndarray, "3 3"],
    distortion: Float[ndarray, "4"],
    new_K: Float[ndarray, "3 3"],
    new_size: Size,
) -> Float[ndarray, "hn wn"]:
    """Resample a photo's mask into a pinhole camera: 1 where all that a pixel shows counts, 0 elsewhere."""
    picture, inside = undistort_image(
        np.repeat(mask[..., None], 3, 2).astype(np.float32), K, distortion, new_K, new_size
    )
    return (picture[..., 0] > 0.99).astype(np.float32) * inside


def _sample(image: Float[ndarray, "h w 3"], where: Float32[ndarray, "ho wo 2"]) -> tuple[ndarray, ndarray]:
    """Bicubic samples at pixel coordinates (centres at +0.5), and a mask of those inside."""
    height, width = image.shape[:2]
    x, y = where[..., 0], where[..., 1]
    # A hair of slack, so that rounding does not mask the border of an image that maps onto itself.
    slack = 1e-3
    inside = (x >= -slack) & (x <= width + slack) & (y >= -slack) & (y <= height + slack)
    maps = np.clip(where, OUTSIDE, -OUTSIDE) - np.float32(0.5)
    picture = cv2.remap(image, maps[..., 0], maps[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(picture, 0, 1), inside.astype(np.float32)


def _balanced_zoom(K: ndarray, distortion: ndarray, size: Size) -> float:
    """Factor on the focal lengths; see `undistorted_camera`."""
    border = undistort_points(_border(size), K, distortion)
    border = border.reshape(4, BORDER_SAMPLES, 2)
    centre = np.array([K[0, 2], K[1, 2]])
    # Sides in the order left, right, top, bottom; how far each of their points lies from the principal point, relative
    # to how far the new image's side lies.
    distances = [np.abs(border[i, :, i // 2] - centre[i // 2]) for i in range(4)]
    sides = [centre[0], size[0] - centre[0], centre[1], size[1] - centre[1]]
    ratios = [d[np.isfinite(d)] / max(side, 1e-6) for d, side in zip(distances, sides, strict=True)]
    if any(side <= 0 for side in sides) or any(len(r) == 0 for r in ratios):
        return 1.0
    no_border = 1 / min(r.min() for r in ratios)
    no_loss = 1 / max(r.max() for r in ratios)
    zoom = math.sqrt(no_border * no_loss)
    return float(np.clip(zoom, 0.5, 2.0))


def _scale_intrinsics(K: ndarray, scale: tuple[float, float]) -> ndarray:
    return K * np.array([scale[0], scale[1], 1.0])[:, None]


def _map_by_rows(
    size: Size, source_of: Callable[[Float[ndarray, "n 2"]], Float[ndarray, "n 2"]]
) -> Float32[ndarray, "h w 2"]:
    """Where each pixel of an image comes from; in bands of rows, so that large images need little memory."""
    width, height = size
    where = np.empty((height, width, 2), dtype=np.float32)
    for top in range(0, height, BAND_ROWS):
        rows = np.arange(top, min(top + BAND_ROWS, height)) + 0.5
        x, y = np.meshgrid(np.arange(width) + 0.5, rows)
        where[top : top + len(rows)] = source_of(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(*x.shape, 2)
    return where


def _border(size: Size) -> Float[ndarray, "n 2"]:
    """Points along the sides, in the order left, right, top, bottom."""
    width, height = size
    steps = np.linspace(0, 1, BORDER_SAMPLES)
    sides = [(steps * 0, steps), (steps * 0 + 1, steps), (steps, steps * 0), (steps, steps * 0 + 1)]
    return np.concatenate([np.stack([x * width, y * height], 1) for x, y in sides])


def _as_float(pixels: ndarray) -> Float[ndarray, "h w 3"]:
    return pixels.astype(np.float32) / 255 if pixels.dtype == np.uint8 else pixels.astype(np.float32)
