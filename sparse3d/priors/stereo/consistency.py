"""Do the views' depth maps agree? Support, free-space violations, visibility and the confidence made from them."""

from collections.abc import Sequence
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
    """

    seen: Bool[np.ndarray, "h w"]
    agrees: Bool[np.ndarray, "h w"]
    in_front: Bool[np.ndarray, "h w"]
    hidden: Bool[np.ndarray, "h w"]
    confidence: Float32[np.ndarray, "h w"]
    x: Float32[np.ndarray, "h w"]
    y: Float32[np.ndarray, "h w"]
    inverse_depth: Float32[np.ndarray, "h w"]


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
    x, y, third = RayTransfer.between(reference, other).coordinates(inverse)
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
    return Comparison(seen, agrees, apart & (relative > 0), apart & (relative < 0), confidence, x, y, surface)


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
        visible: for each other view, weight in {0.1, 0.5, 1} with which it should be matched: 1 where it agrees, 0.1
            where it is known to see something nearer or farther.
        mean_inverse: mean inverse depth of the pixel and of the views that agree.
    """

    support: Int32[np.ndarray, "h w"]
    violations: Int32[np.ndarray, "h w"]
    visible: tuple[Float32[np.ndarray, "h w"], ...]
    mean_inverse: Float32[np.ndarray, "h w"]


def agreement(
    index: int,
    views: Sequence[PosedImage],
    inverses: Sequence[Float32[np.ndarray, "_h _w"]],
    confidences: Sequence[Float32[np.ndarray, "_h _w"]],
    config: AgreementConfig,
) -> Agreement:
    """Compare one view's depth with every other view's."""
    inverse = inverses[index]
    support = np.zeros(inverse.shape, np.int32)
    violations = np.zeros(inverse.shape, np.int32)
    total, visible = inverse.copy(), []
    for other in range(len(views)):
        if other == index:
            visible.append(np.zeros_like(inverse))
            continue
        result = compare(views[index], inverse, views[other], inverses[other], confidences[other], config)
        support += result.agrees
        violations += result.in_front & (result.confidence > 0)
        total += np.where(result.agrees, result.inverse_depth, 0)
        known_bad = (result.hidden | result.in_front) & (result.confidence > 0)
        visible.append(np.where(result.agrees, 1, np.where(known_bad, 0.1, 0.5)).astype(np.float32))
    return Agreement(support, violations, tuple(visible), (total / (support + 1)).astype(np.float32))


SUPPORT_CONFIDENCE = (0.12, 0.85, 0.93, 0.97)
"""Confidence of a perfectly matched pixel by the number of views that agree; 0 means matched but confirmed by none."""

COST_KNOTS, COST_SHARE = (0.1, 0.3, 0.45, 0.6, 0.75, 1.0), (1.0, 0.97, 0.9, 0.75, 0.5, 0.35)
"""How confidence falls with the matching cost, as the share of pixels within 2 % of measured depth fell on real
photos."""


def confidence_of(
    cost: Float32[np.ndarray, "h w"], uniqueness: Float32[np.ndarray, "h w"], found: Agreement
) -> Float32[np.ndarray, "h w"]:
    """Confidence in [0, 1] from the views that agree, the matching cost and the uniqueness of its minimum."""
    table = np.array(SUPPORT_CONFIDENCE, np.float32)
    base = table[np.minimum(found.support, len(table) - 1)]
    matched = np.interp(cost, COST_KNOTS, COST_SHARE)
    unique = np.clip(uniqueness / UNIQUE_ENOUGH, 0.8, 1)
    outvoted = np.maximum(found.violations - found.support + 1, 0) * (found.violations > 0)
    return (base * matched * unique * np.float32(0.6) ** outvoted).astype(np.float32)


UNIQUE_ENOUGH = 0.03
"""Gap to the best rival, relative to its cost, from which a minimum counts as unique."""
