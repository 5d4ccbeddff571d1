"""Do the views' depth maps agree? Support, free-space violations, visibility and precision."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32

from sparse3d.priors.stereo.plane_sweep import PosedImage, RayTransfer


@dataclass(frozen=True)
class AgreementConfig:
    """When two views' depths count as the same surface.

    Attributes:
        pixel_error: largest distance in pixels between a pixel and its image after a trip to the other view and back.
        relative_depth: largest relative difference of depth in the other view.
    """

    pixel_error: float = 1.0
    relative_depth: float = 0.02


@dataclass(frozen=True)
class Comparison:
    """One view's depth against another's, pixel by pixel of the first.

    Attributes:
        seen: the pixel falls on a known depth of the other view.
        agrees: both mean the same surface.
        in_front: the pixel lies in space that the other view sees through.
        hidden: the pixel lies behind what the other view sees, so that nothing can be said.
        confidence: the other view's confidence there, 0 where not seen.
        x, y: where the pixel falls in the other view, counted from the first pixel's centre.
        inverse_depth: the other view's surface, as an inverse depth of the first view; 0 where not seen.
        error_px: distance between a pixel and its image after the trip there and back.
        motion_px: how far the pixel would move in the other view if its depth grew by its own amount, to first order: what
            depth can be told by.
    """

    seen: Bool[np.ndarray, "h w"]
    agrees: Bool[np.ndarray, "h w"]
    in_front: Bool[np.ndarray, "h w"]
    hidden: Bool[np.ndarray, "h w"]
    confidence: Float32[np.ndarray, "h w"]
    x: Float32[np.ndarray, "h w"]
    y: Float32[np.ndarray, "h w"]
    inverse_depth: Float32[np.ndarray, "h w"]
    error_px: Float32[np.ndarray, "h w"]
    motion_px: Float32[np.ndarray, "h w"]


def compare(
    reference: PosedImage,
    inverse: Float32[np.ndarray, "h w"],
    other: PosedImage,
    other_inverse: Float32[np.ndarray, "h2 w2"],
    other_confidence: Float32[np.ndarray, "h2 w2"],
    config: AgreementConfig,
) -> Comparison:
    """Compare two depth maps by a trip from each pixel of the first to the second and back.

    Args:
        reference, other: the two views.
        inverse, other_inverse: inverse depths; 0 where unknown.
        other_confidence: passed on to the pixels of the reference.
        config: tolerances.
    """
    transfer = RayTransfer.between(reference, other)
    x, y, third = transfer.coordinates(inverse)
    width, height = other.size
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5) & (inverse > 0)
    there = cv2.remap(other_inverse, x, y, cv2.INTER_NEAREST)
    seen = inside & (there > 0)
    here = inverse / np.where(third > 0, third, 1)
    relative = np.where(seen, here / np.where(seen, there, 1) - 1, 0)
    back_x, back_y, back_third = _back(reference, other, x, y, there)
    rows, columns = np.indices(inverse.shape, dtype=np.float32)
    error = np.hypot(back_x - columns, back_y - rows)
    agrees = seen & (error < config.pixel_error) & (np.abs(relative) < config.relative_depth)
    apart = seen & ~agrees & (error > config.pixel_error)
    surface = np.where(seen & (back_third > 0), there / np.where(back_third > 0, back_third, 1), 0).astype(np.float32)
    confidence = np.where(seen, cv2.remap(other_confidence, x, y, cv2.INTER_NEAREST), 0).astype(np.float32)
    motion = np.hypot(transfer.shift[0] - x * transfer.shift[2], transfer.shift[1] - y * transfer.shift[2])
    motion = np.where(third > 0, inverse * motion / np.where(third > 0, third, 1), 0).astype(np.float32)
    in_front, hidden = apart & (relative > 0), apart & (relative < 0)
    return Comparison(seen, agrees, in_front, hidden, confidence, x, y, surface, error.astype(np.float32), motion)


def _back(
    reference: PosedImage,
    other: PosedImage,
    x: Float32[np.ndarray, "h w"],
    y: Float32[np.ndarray, "h w"],
    there: Float32[np.ndarray, "h w"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates in the reference of points given by (fractional) pixels of the other view and inverse depth there."""
    rotation = reference.cam_from_world[:3, :3] @ other.cam_from_world[:3, :3].T
    translation = reference.cam_from_world[:3, 3] - rotation @ other.cam_from_world[:3, 3]
    homography = reference.K @ rotation @ np.linalg.inv(other.K)
    shift = reference.K @ translation
    homogeneous = [
        np.float32(row[0]) * (x + np.float32(0.5)) + np.float32(row[1]) * (y + np.float32(0.5)) + np.float32(row[2])
        + there * np.float32(push)
        for row, push in zip(homography, shift, strict=True)
    ]  # fmt: skip
    third = homogeneous[2]
    scale = 1 / np.where(third > 0, third, 1)
    return homogeneous[0] * scale - np.float32(0.5), homogeneous[1] * scale - np.float32(0.5), third


@dataclass(frozen=True)
class Agreement:
    """What all other views say of one view's depth.

    Attributes:
        support: number of other views that agree.
        violations: number of other views that see through the pixel.
        visible: for each view asked for, weight in {0.1, 0.5, 1} with which it should be matched: 1 where it agrees, 0.1
            where it is known to see something nearer or farther.
        mean_inverse: mean inverse depth of the pixel and of the views that agree.
        error_px: mean distance by which the trips to agreeing views and back miss; 0 where none agrees.
        motion_px: largest of the agreeing views' `Comparison.motion_px`; 0 where none agrees.
    """

    support: Int32[np.ndarray, "h w"]
    violations: Int32[np.ndarray, "h w"]
    visible: Mapping[int, Float32[np.ndarray, "h w"]]
    mean_inverse: Float32[np.ndarray, "h w"]
    error_px: Float32[np.ndarray, "h w"]
    motion_px: Float32[np.ndarray, "h w"]


def agreement(
    index: int,
    views: Sequence[PosedImage],
    inverses: Sequence[Float32[np.ndarray, "_h _w"]],
    confidences: Sequence[Float32[np.ndarray, "_h _w"]],
    config: AgreementConfig,
    neighbours: Collection[int] = (),
) -> Agreement:
    """Compare one view's depth with every other view's; the visibility of some is kept."""
    inverse = inverses[index]
    support = np.zeros(inverse.shape, np.int32)
    violations = np.zeros(inverse.shape, np.int32)
    total, visible = inverse.copy(), {}
    error, motion = np.zeros_like(inverse), np.zeros_like(inverse)
    for other in range(len(views)):
        if other == index:
            continue
        result = compare(views[index], inverse, views[other], inverses[other], confidences[other], config)
        error += np.where(result.agrees, result.error_px, 0)
        motion = np.maximum(motion, np.where(result.agrees, result.motion_px, 0))
        support += result.agrees
        violations += result.in_front & (result.confidence > 0)
        total += np.where(result.agrees, result.inverse_depth, 0)
        if other in neighbours:
            known_bad = (result.hidden | result.in_front) & (result.confidence > 0)
            visible[other] = np.where(result.agrees, 1, np.where(known_bad, 0.1, 0.5)).astype(np.float32)
    mean_inverse = (total / (support + 1)).astype(np.float32)
    error = (error / np.maximum(support, 1)).astype(np.float32)
    return Agreement(support, violations, visible, mean_inverse, error, motion)
