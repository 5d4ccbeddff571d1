"""What small patches of one photo look like in another one, and how that changes with cameras, focal lengths and depth.

The parametrisation is that of direct methods (Engel et al. 2018, Direct Sparse Odometry, eq. 2 to 4): a patch of the host
view keeps its pixels, the depths of the prior within it scale by one factor, and the residual is the difference of grey values.
Mean and contrast of each patch are taken out, as exposure and vignetting differ from photo to photo.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray

from sparse3d.core.geometry_prior import GeometryPrior

OFFSETS = np.array([(0, 0), (-2, 0), (2, 0), (0, -2), (0, 2), (-2, -2), (2, 2), (-2, 2), (2, -2)])
"""Pixels of a patch: nine, two apart, about the pattern of Engel et al. 2018, figure 4."""

MARGIN = 4
"""Pixels at the border that no patch is centred on."""

BLOCK = 4
"""One patch in a square of so many pixels: where the gradient is largest."""

BLUR_PX = 1.0
"""Standard deviation of the smoothing before gradients are taken: sensors' noise and JPEG's blocks."""

MIN_GRADIENT = 0.01
"""Grey values a pixel below which a patch says nothing."""

MIN_CONFIDENCE = 0.5
"""Of the prior's depth: the rest is filled in rather than matched."""

FLAT = 0.05
"""Relative range of depth in a patch: more is an edge, where one factor does not move both sides."""

HIDDEN = 0.03
"""Relative difference from the other view's depth beyond which the patch shows something else there."""

MIN_CORRELATION = 0.6
"""Patches that are less alike are outliers."""

GAIN_RANGE = (0.5, 2.0)
"""Of contrast between two photos; more is no change of exposure."""


@dataclass(frozen=True)
class GreyPhoto:
    """A smoothed photo and its derivatives, with the prior's depth, at the working resolution.

    Attributes:
        grey, along_x, along_y: grey values in [0, 1], and their change a pixel.
        depth: z-depth, 0 where unknown.
    """

    grey: Float32[ndarray, "h w"]
    along_x: Float32[ndarray, "h w"]
    along_y: Float32[ndarray, "h w"]
    depth: Float32[ndarray, "h w"]


@dataclass(frozen=True)
class Patches:
    """Patches of one host view.

    Attributes:
        pixels: (x, y) of each patch's pixels, centres at +0.5.
        depth: the prior's z-depth there.
        grey: grey values, the patch's mean taken out.
    """

    pixels: Float[ndarray, "m k 2"]
    depth: Float[ndarray, "m k"]
    grey: Float[ndarray, "m k"]


@dataclass(frozen=True)
class Linearised:
    """Residuals of some patches of a host view in another one, and their derivatives.

    Attributes:
        chosen: which patches the other view shows.
        residual: grey values.
        by_depth: derivative by the logarithm of the patch's depth.
        by_cameras: by the host's motion (translation, rotation), the other's motion, and the logarithms of the two focal lengths.
        weight: of each patch, by how well it fits (Huber); 0 for an outlier.
        cost: robust sum of squares, an outlier at the price of a bad fit.
    """

    chosen: Int[ndarray, " c"]
    residual: Float[ndarray, "c k"]
    by_depth: Float[ndarray, "c k"]
    by_cameras: Float[ndarray, "c k 14"]
    weight: Float[ndarray, " c"]
    cost: float


def grey_photos(prior: GeometryPrior) -> list[GreyPhoto]:
    """Smoothed grey photos of all views."""
    photos = []
    for image, found in zip(prior.images, prior.depths, strict=True):
        grey = cv2.cvtColor(np.ascontiguousarray(image.float().numpy()), cv2.COLOR_RGB2GRAY)
        grey = cv2.GaussianBlur(grey, (0, 0), BLUR_PX)
        slopes = [cv2.Scharr(grey, cv2.CV_32F, *axis) / np.float32(32) for axis in ((1, 0), (0, 1))]
        photos.append(GreyPhoto(grey, slopes[0], slopes[1], found.depth.float().numpy()))
    return photos


def choose_patches(
    prior: GeometryPrior, photos: Sequence[GreyPhoto], view: int, *, count: int, generator: np.random.Generator
) -> Patches:
    """Patches with contrast and sure depth, spread over the view; at most so many, possibly none."""
    photo, found = photos[view], prior.depths[view]
    gradient = np.hypot(photo.along_x, photo.along_y)
    sure = (found.confidence.numpy() * (prior.masks[view].numpy() > 0.5) > MIN_CONFIDENCE) & (found.support.numpy() > 0)
    inner = np.zeros_like(sure)
    inner[MARGIN:-MARGIN, MARGIN:-MARGIN] = True
    ys, xs = np.nonzero(sure & inner & (gradient > MIN_GRADIENT))
    block = (ys // BLOCK) * sure.shape[1] + xs // BLOCK
    order = np.lexsort((-gradient[ys, xs], block))
    first = order[np.unique(block[order], return_index=True)[1]]
    if len(first) > count:
        first = np.sort(generator.choice(first, count, replace=False))
    py, px = ys[first, None] + OFFSETS[:, 1], xs[first, None] + OFFSETS[:, 0]
    depth = photo.depth[py, px]
    flat = ((depth > 0) & (np.abs(depth - depth[:, :1]) < FLAT * depth[:, :1])).all(1)
    grey = photo.grey[py, px][flat].astype(np.float64)
    pixels = np.stack([px + 0.5, py + 0.5], -1)[flat]
    return Patches(pixels, depth[flat].astype(np.float64), _centred(grey))


def linearise(
    patches: Patches,
    log_factors: Float[ndarray, " m"],
    other: GreyPhoto,
    K: Float[ndarray, "2 3 3"],
    cam_from_world: Float[ndarray, "2 4 4"],
    huber: float,
) -> Linearised:
    """Compare patches with another view.

    Args:
        log_factors: by how much each patch's depth has changed, as a logarithm.
        K, cam_from_world: of the host and of the other view.
        huber: grey values of the root mean square residual from which a patch counts less.
    """
    homogeneous = np.concatenate([patches.pixels, np.ones((*patches.pixels.shape[:2], 1))], -1)
    depth = patches.depth * np.exp(log_factors)[:, None]
    at_host = homogeneous @ np.linalg.inv(K[0]).T * depth[..., None]
    other_from_host = cam_from_world[1] @ np.linalg.inv(cam_from_world[0])
    rotation = other_from_host[:3, :3]
    at_other = at_host @ rotation.T + other_from_host[:3, 3]
    xy = at_other[..., :2] / np.maximum(at_other[..., 2:], 1e-9) * K[1][[0, 1], [0, 1]] + K[1][:2, 2]
    chosen = _shown(at_other[..., 2], xy, other)
    at_host, at_other, xy = at_host[chosen], at_other[chosen], xy[chosen]
    grey, along_x, along_y = (_sampled(image, xy) for image in (other.grey, other.along_x, other.along_y))
    grey, expected = _centred(grey), patches.grey[chosen]
    product, power, power_there = (x.sum(1) for x in (grey * expected, expected**2, grey**2))
    gain = np.clip(product / np.maximum(power_there, 1e-9), *GAIN_RANGE)[:, None]
    residual = gain * grey - expected
    rms = np.sqrt((residual**2).mean(1))
    alike = product > MIN_CORRELATION * np.sqrt(power * power_there)
    along_x, along_y = gain * along_x, gain * along_y
    by_point = _by_point(along_x, along_y, at_other, K[1])
    by_host_point = by_point @ rotation
    by_focal = along_x * (xy[..., 0] - K[1][0, 2]) + along_y * (xy[..., 1] - K[1][1, 2])
    by_cameras = np.concatenate(
        [
            -by_host_point,
            -np.cross(at_host, by_host_point),
            by_point,
            np.cross(at_other, by_point),
            -(by_host_point[..., :2] * at_host[..., :2]).sum(-1, keepdims=True),
            by_focal[..., None],
        ],
        -1,
    )
    robust = np.where(rms < huber, rms**2, 2 * huber * rms - huber**2)
    return Linearised(
        chosen=chosen,
        residual=residual,
        by_depth=_without_contrast((by_host_point * at_host).sum(-1)[..., None], grey)[..., 0],
        by_cameras=_without_contrast(by_cameras, grey),
        weight=np.where(alike, 1 / np.maximum(1, rms / huber), 0.0),
        cost=float(np.where(alike, robust, 2 * huber**2).sum()) * len(OFFSETS),
    )


def _without_contrast(derivatives: ndarray, grey: ndarray) -> ndarray:
    """Derivatives of the residual that is least over mean and contrast (variable projection, Kaufman 1975).

    Args:
        derivatives: of shape (c, k, p).
        grey: the patches' grey values in the other view, their means taken out, (c, k).
    """
    derivatives = derivatives - derivatives.mean(1, keepdims=True)
    along = grey / np.sqrt(np.maximum((grey**2).sum(1, keepdims=True), 1e-12))
    return derivatives - along[..., None] * np.einsum("ck,ckp->cp", along, derivatives)[:, None]


def _by_point(along_x: ndarray, along_y: ndarray, at_other: ndarray, K: ndarray) -> ndarray:
    """The gradient of the other photo's grey values by the point in that camera's axes."""
    x, y, z = at_other[..., 0], at_other[..., 1], at_other[..., 2]
    right, down = along_x * K[0, 0] / z, along_y * K[1, 1] / z
    return np.stack([right, down, -(right * x + down * y) / z], -1)


def _shown(z: ndarray, xy: ndarray, other: GreyPhoto) -> ndarray:
    """The patches that fall into the other view whole, and onto the surface that it shows."""
    height, width = other.grey.shape
    inside = (z > 0).all(1) & (xy > 2).all((1, 2)) & (xy < (width - 2, height - 2)).all((1, 2))
    column, row = (np.clip(np.nan_to_num(xy[:, 0, k]), 0, top - 1).astype(int) for k, top in ((0, width), (1, height)))
    there = other.depth[row, column]
    return np.flatnonzero(inside & (np.abs(z[:, 0] - there) < HIDDEN * there))


def _sampled(image: Float32[ndarray, "h w"], xy: ndarray) -> ndarray:
    at = (xy - 0.5).astype(np.float32)
    if len(at) == 0:
        return np.zeros(at.shape[:2])
    return cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_CUBIC).astype(np.float64)


def _centred(values: ndarray) -> ndarray:
    return values - values.mean(1, keepdims=True)
