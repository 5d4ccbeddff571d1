"""PSNR, SSIM and the resolution that images are scored at.

Images are (h, w, 3), sRGB values in [0, 1]; everything is computed in float64 on the CPU. All reported figures follow
one protocol: quantise to 8 bits, shrink by a box filter to about 512 pixels (`to_scoring_resolution`), then compare.
"""

import math
from typing import Literal

import numpy as np
import PIL.Image
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from scipy.ndimage import gaussian_filter
from torch import Tensor

Image = Float[Tensor, "_h _w 3"] | Float[ndarray, "_h _w 3"]
Mask = Bool[Tensor, "_h _w"] | Bool[ndarray, "_h _w"]
Borders = Literal["reflect", "mirror", "zero", "valid"]

SCORING_PX = 512
"""Photos with a longer side are shrunk to about this, the resolution of the posed benchmarks of few views."""

MSE_FLOOR = 1e-12
"""Added to the mean squared error, so that equal images have a finite PSNR: 120 dB."""

SSIM_SIGMA_PX = 1.5
SSIM_TRUNCATE = 3.5
"""The Gaussian window of Wang et al. 2004: int(3.5 * 1.5 + 0.5) = 5 pixels to either side, 11 in all."""

SSIM_RADIUS_PX = 5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
"""Stabilising constants (Wang et al. 2004) for values of range 1."""


def to_scoring_resolution(image: Image) -> Float[ndarray, "_h _w 3"]:
    """Quantise to 8 bits and shrink by the whole factor `round(longer side / 512)` with a box filter.

    This is the arithmetic of a rendering that is saved as PNG, opened again and resized with Pillow's `BOX` (whose
    result has 8 bits, too). The size after is `(w // factor, h // factor)`. NaN counts as black.
    """
    pixels = quantise(image)
    height, width, _ = pixels.shape
    factor = scoring_factor(width, height)
    size = (max(1, width // factor), max(1, height // factor))
    if size != (width, height):
        pixels = np.asarray(PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.BOX))
    return pixels.astype(np.float64) / 255


def mask_to_scoring_resolution(mask: Mask) -> Bool[ndarray, "_h _w"]:
    """The pixels at the scoring resolution that lie wholly within a mask, as RegNeRF's evaluation takes them."""
    inside = np.asarray(mask.cpu() if isinstance(mask, Tensor) else mask, bool)
    outside = np.repeat((~inside)[..., None].astype(np.float64), 3, axis=2)
    return to_scoring_resolution(outside)[..., 0] == 0


def on_white(image: Image, mask: Mask) -> Float[ndarray, "_h _w 3"]:
    """The image with all that lies outside of the mask white: what SSIM and LPIPS of a part of an image are taken of."""
    inside = np.asarray(mask.cpu() if isinstance(mask, Tensor) else mask, bool)
    return np.where(inside[..., None], _array(image), 1.0)


def scoring_factor(width: int, height: int) -> int:
    """The whole number that an image's sides are divided by for scoring; Python's rounding: 1.5 and 2.5 both give 2."""
    return max(1, round(max(width, height) / SCORING_PX))


def quantise(image: Image) -> UInt8[ndarray, "_h _w 3"]:
    """The 8-bit pixels of an image, rounded to nearest; out-of-range values are clamped and NaN is black."""
    values = np.nan_to_num(_array(image), nan=0.0, posinf=1.0, neginf=0.0)
    return (values.clip(0, 1) * 255).round().astype(np.uint8)


def from_pixels(pixels: UInt8[ndarray, "_h _w 3"] | Image) -> Float[ndarray, "_h _w 3"]:
    """A photo's pixels, 8-bit or already in [0, 1], as float64 in [0, 1]."""
    if isinstance(pixels, ndarray) and pixels.dtype == np.uint8:
        return pixels.astype(np.float64) / 255
    return _array(pixels)


def psnr(image: Image, truth: Image, *, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB, `-10 log10(mean squared error)` over the masked pixels; at most 120.

    Raises:
        ValueError: the sizes differ, or the mask is empty.
    """
    a, b, inside = _pair(image, truth, mask)
    return float(-10 * math.log10(((a - b) ** 2)[inside].mean() + MSE_FLOOR))


def ssim(image: Image, truth: Image, *, mask: Mask | None = None, borders: Borders = "reflect") -> float:
    """Mean structural similarity with the 11-pixel Gaussian window of sigma 1.5 (Wang et al. 2004), per channel.

    The window is that of the 3DGS papers; implementations differ in nothing but the treatment of the borders:

    * `reflect` (the figure that is reported): the image is mirrored beyond its edges, all pixels count. The same as
      `scipy.ndimage.gaussian_filter(sigma=1.5, truncate=3.5)`.
    * `zero`: the image is continued with black, all pixels count. The graphdeco code and those derived from it; higher,
      since two images agree on the black frame.
    * `mirror`: as `reflect`, but the outermost pixels are not repeated. torchmetrics.
    * `valid`: only windows that lie within the image count. Wang et al.'s own and scikit-image's.

    Args:
        mask: pixels whose windows count. The windows may reach beyond the mask.

    Raises:
        ValueError: the sizes differ, the mask is empty, or no window fits in (`valid`).
    """
    a, b, inside = _pair(image, truth, mask)
    similarity = ssim_map(a, b, borders=borders)
    if borders == "valid":
        inside = inside.copy()
        edge = SSIM_RADIUS_PX
        inside[:edge] = inside[max(edge, len(inside) - edge) :] = False
        inside[:, :edge] = inside[:, max(edge, inside.shape[1] - edge) :] = False
        if not inside.any():
            raise ValueError(f"ssim: no window of 11x11 lies within what counts of {a.shape[1]}x{a.shape[0]} pixels")
    return float(similarity[inside].mean())


def ssim_map(image: Image, truth: Image, *, borders: Borders = "reflect") -> Float[ndarray, "_h _w 3"]:
    """Structural similarity around each pixel, per channel; see `ssim`."""
    a, b = _array(image), _array(truth)

    def blur(values: ndarray) -> ndarray:
        mode = {"zero": "constant", "mirror": "mirror"}.get(borders, "reflect")
        return gaussian_filter(values, SSIM_SIGMA_PX, truncate=SSIM_TRUNCATE, mode=mode, axes=(0, 1))

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, covariance = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    return luminance * (2 * covariance + SSIM_C2) / (var_a + var_b + SSIM_C2)


def _array(image: Image) -> ndarray:
    """An image as a float64 array on the CPU."""
    if isinstance(image, Tensor):
        return image.detach().to("cpu", torch.float64).numpy()
    return np.asarray(image, np.float64)


def _pair(image: Image, truth: Image, mask: Mask | None) -> tuple[ndarray, ndarray, ndarray]:
    """Both images as arrays of one size, and which pixels count."""
    a, b = _array(image), _array(truth)
    if a.shape != b.shape:
        raise ValueError(f"images of {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]} pixels cannot be compared")
    if mask is None:
        return a, b, np.ones(a.shape[:2], bool)
    inside = np.asarray(mask.cpu() if isinstance(mask, Tensor) else mask, bool)
    if inside.shape != a.shape[:2]:
        raise ValueError(f"a mask of {inside.shape[1]}x{inside.shape[0]} does not fit {a.shape[1]}x{a.shape[0]} pixels")
    if not inside.any():
        raise ValueError("the mask leaves no pixel to compare")
    return a, b, inside
