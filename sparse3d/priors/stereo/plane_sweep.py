"""Matching costs of one view against its neighbours over hypotheses of inverse depth.

The hypotheses may be planes (a constant inverse depth) or offsets from a surface (a map of inverse depth): in the
second case the matching window takes the surface's own shape, which removes the fronto-parallel bias of small windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

COST_LEVELS = 100
"""Matching costs are stored as bytes, 0 (identical) to 100 (unlike or unknown): finer steps are below the noise of
ZNCC."""

TEXTURE_NOISE = 0.01
"""Standard deviation of grey values below which a window counts as untextured: about 2.5 of 255 levels, JPEG's
noise."""

OUTSIDE = -1e4
"""A pixel coordinate that is outside every image."""

MIN_HOMOGENEOUS = 1e-6
"""Homogeneous coordinate below which a point counts as behind the camera."""


@dataclass(frozen=True)
class PosedImage:
    """One undistorted photo with its pinhole camera, as the stereo stages use it.

    Attributes:
        colour: RGB in [0, 1].
        grey: luminance in [0, 1].
        mask: True where a pixel counts.
        K: intrinsics in pixels; pixel centres at +0.5.
        cam_from_world: rigid transform.
    """

    colour: Float32[np.ndarray, "h w 3"]
    grey: Float32[np.ndarray, "h w"]
    mask: Bool[np.ndarray, "h w"]
    K: Float[np.ndarray, "3 3"]
    cam_from_world: Float[np.ndarray, "4 4"]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.grey.shape[1], self.grey.shape[0]

    @property
    def centre(self) -> Float[np.ndarray, "3"]:
        """Camera centre in the world."""
        return -self.cam_from_world[:3, :3].T @ self.cam_from_world[:3, 3]

    def rays(self) -> Float32[np.ndarray, "h w 3"]:
        """Directions of the pixel centres in camera axes, with z = 1."""
        width, height = self.size
        xs, ys = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        pixels = np.stack([xs, ys, np.ones_like(xs)], -1)
        return (pixels @ np.linalg.inv(self.K).T).astype(np.float32)

    @staticmethod
    def build(
        colour: Float32[np.ndarray, "h w 3"],
        mask: Bool[np.ndarray, "h w"],
        K: Float[np.ndarray, "3 3"],
        cam_from_world: Float[np.ndarray, "4 4"],
    ) -> "PosedImage":
        """A posed image with its luminance computed."""
        grey = cv2.cvtColor(np.ascontiguousarray(colour), cv2.COLOR_RGB2GRAY)
        return PosedImage(colour, grey, mask, K, cam_from_world)

    def scaled(self, factor: float) -> "PosedImage":
        """The same view at another resolution (area averaging when it shrinks)."""
        width, height = (max(8, round(side * factor)) for side in self.size)
        return self.resized((width, height))

    def resized(self, size: tuple[int, int]) -> "PosedImage":
        """The same view with another width and height (area averaging when it shrinks)."""
        width, height = size
        colour = cv2.resize(self.colour, (width, height), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(self.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        scale = np.diag([width / self.size[0], height / self.size[1], 1.0])
        return PosedImage.build(colour, mask, scale @ self.K, self.cam_from_world)


@dataclass(frozen=True)
class RayTransfer:
    """Where the pixels of one view go in another, as a function of their inverse depth.

    A pixel with inverse depth u has homogeneous coordinates `rays + u * shift` in the other view, and their third
    component over u is its z-depth there. Coordinates count from the first pixel's centre, as OpenCV's remap does.
    """

    rays: Float32[np.ndarray, "3 h w"]
    shift: Float32[np.ndarray, "3"]

    @staticmethod
    def between(reference: PosedImage, other: PosedImage) -> "RayTransfer":
        """The transfer of the reference view's pixel centres into the other view."""
        rotation = other.cam_from_world[:3, :3] @ reference.cam_from_world[:3, :3].T
        translation = other.cam_from_world[:3, 3] - rotation @ reference.cam_from_world[:3, 3]
        to_index = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
        homography = to_index @ other.K @ rotation @ np.linalg.inv(reference.K)
        width, height = reference.size
        xs, ys = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        rays = homography @ np.stack([xs.ravel(), ys.ravel(), np.ones(xs.size)])
        shift = to_index @ other.K @ translation
        return RayTransfer(rays.reshape(3, height, width).astype(np.float32), shift.astype(np.float32))

    def coordinates(
        self, inverse_depth: Float32[np.ndarray, "h w"] | float
    ) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
        """Coordinates x and y in the other view and the homogeneous third component (z-depth there times inverse
        depth)."""
        u = np.float32(inverse_depth) if isinstance(inverse_depth, float) else inverse_depth
        third = self.rays[2] + u * self.shift[2]
        front = third > MIN_HOMOGENEOUS
        scale = 1 / np.where(front, third, 1)
        x = np.where(front, (self.rays[0] + u * self.shift[0]) * scale, np.float32(OUTSIDE))
        y = np.where(front, (self.rays[1] + u * self.shift[1]) * scale, np.float32(OUTSIDE))
        return x.astype(np.float32), y.astype(np.float32), third.astype(np.float32)


class WindowMatcher:
    """Zero-mean normalised cross-correlation of one view with neighbours over square windows, with a little plain
    colour.

    Correlation forgives exposure; the colour term, truncated early, tells an untextured object from its background.
    """

    def __init__(self, reference: PosedImage, neighbours: Sequence[PosedImage], window: int, colour_weight: float):
        self.reference, self.neighbours = reference, neighbours
        self.transfers = [RayTransfer.between(reference, other) for other in neighbours]
        self.box = (window, window)
        self.colour_weight = colour_weight
        self.mean = cv2.blur(reference.grey, self.box)
        self.variance = cv2.blur(reference.grey**2, self.box) - self.mean**2 + np.float32(TEXTURE_NOISE**2)
        self.partly_masked = [not other.mask.all() for other in neighbours]

    def cost(
        self, index: int, inverse_depth: Float32[np.ndarray, "h w"] | float
    ) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
        """Cost in [0, 1] against one neighbour, and where that neighbour sees the hypothesis at all."""
        other = self.neighbours[index]
        x, y, _ = self.transfers[index].coordinates(inverse_depth)
        width, height = other.size
        seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        if self.partly_masked[index]:
            seen &= cv2.remap(other.mask.astype(np.uint8), x, y, cv2.INTER_NEAREST) > 0
        grey = cv2.remap(other.grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mean = cv2.blur(grey, self.box)
        variance = cv2.blur(grey * grey, self.box) - mean * mean + np.float32(TEXTURE_NOISE**2)
        covariance = cv2.blur(grey * self.reference.grey, self.box) - mean * self.mean
        cost = 1 - covariance / np.sqrt(np.maximum(variance, 1e-8) * self.variance)
        cost = np.clip(cost, 0, 1)
        if self.colour_weight > 0:
            difference = np.minimum(np.abs(mean - self.mean) * np.float32(1 / COLOUR_TRUNCATION), 1)
            cost += np.float32(self.colour_weight) * (difference - cost)
        return cost, seen

    def combined(
        self,
        inverse_depth: Float32[np.ndarray, "h w"] | float,
        visible: Sequence[Float32[np.ndarray, "h w"]] | None = None,
    ) -> Float32[np.ndarray, "h w"]:
        """Cost in [0, 1] over all neighbours: sorted, each next one weighs half as much, so that occluded ones matter
        little.

        Args:
            inverse_depth: a plane or a surface.
            visible: weight of each neighbour at each pixel where the visibility is known already.
        """
        costs, weights = [], []
        for index in range(len(self.neighbours)):
            cost, seen = self.cost(index, inverse_depth)
            costs.append(cost)
            weights.append(seen.astype(np.float32) if visible is None else seen * visible[index])
        return combine_costs(costs, weights)


COLOUR_TRUNCATION = 0.12
"""Difference of mean grey at which the colour term saturates: beyond it the windows show different things."""

RANK_DECAY = np.float32(0.5)
"""Weight of each next-worse neighbour relative to the one before it."""


def combine_costs(
    costs: Sequence[Float32[np.ndarray, "h w"]], weights: Sequence[Float32[np.ndarray, "h w"]]
) -> Float32[np.ndarray, "h w"]:
    """Mean of costs in which better ranks weigh more; 1 where no neighbour has weight.

    Ranks are found without sorting: a cost's rank weight is `RANK_DECAY` to the (weighted) number of better costs.
    """
    if len(costs) == 1:
        return np.where(weights[0] > 0, costs[0], np.float32(1))
    total = np.zeros_like(costs[0])
    norm = np.full_like(costs[0], 1e-6)
    for i, (cost, weight) in enumerate(zip(costs, weights, strict=True)):
        rank_weight = weight.copy()
        for j, (rival, rival_weight) in enumerate(zip(costs, weights, strict=True)):
            if i != j:
                better = rival <= cost if j < i else rival < cost
                rank_weight *= 1 - (1 - RANK_DECAY) * (better & (rival_weight > 0))
        total += rank_weight * cost
        norm += rank_weight
    return np.where(norm > 1e-5, total / norm, np.float32(1))


def sweep(
    matcher: WindowMatcher,
    surfaces: Sequence[Float32[np.ndarray, "h w"] | float],
    visible: Sequence[Float32[np.ndarray, "h w"]] | None = None,
) -> UInt8[np.ndarray, "h d w"]:
    """Cost volume in `COST_LEVELS` over hypotheses; rows are contiguous blocks of (hypothesis, column)."""
    width, height = matcher.reference.size
    volume = np.empty((height, len(surfaces), width), np.uint8)
    for index, surface in enumerate(surfaces):
        cost = matcher.combined(surface, visible)
        volume[:, index, :] = (cost * COST_LEVELS + np.float32(0.5)).astype(np.uint8)
    volume.transpose(0, 2, 1)[~matcher.reference.mask] = COST_LEVELS
    return volume
