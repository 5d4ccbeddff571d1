"""Geometric verification of matches between two photos, and the table of all verified pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.features import Features

MIN_FOR_FUNDAMENTAL = 8
"""Fewer matches than this are no evidence: seven already fix a fundamental matrix exactly."""


@dataclass(frozen=True)
class Pair:
    """Verified matches between two photos.

    Attributes:
        i, j: the photos' indices, i < j.
        matches: index pairs into the photos' keypoint tables.
        fundamental: x_j^T F x_i = 0 in full-size pixels.
    """

    i: int
    j: int
    matches: Int[ndarray, "m 2"]
    fundamental: Float[ndarray, "3 3"]


@dataclass(frozen=True)
class MatchGraph:
    """Keypoints of all photos and the verified pairs between them.

    Attributes:
        pixels: (x, y) in full-size pixels, one table a photo.
        sigmas: standard deviation of each keypoint, in full-size pixels.
        scales: full-size pixels per pixel at the matching resolution, one a photo.
        pairs: the pairs with enough verified matches.
        rejected: (i, j, verified matches) of the others.
        features: what the keypoints of each photo came from, one entry a kind; empty where they came from elsewhere.
    """

    pixels: tuple[Float[ndarray, "_n 2"], ...]
    sigmas: tuple[Float[ndarray, " _n"], ...]
    scales: tuple[float, ...]
    pairs: tuple[Pair, ...]
    rejected: tuple[tuple[int, int, int], ...]
    features: tuple[tuple[Features, ...], ...] = ()

    def components(self) -> list[list[int]]:
        """Groups of photos that are linked through pairs, the largest first."""
        label = list(range(len(self.pixels)))
        for pair in self.pairs:
            a, b = label[pair.i], label[pair.j]
            label = [a if x == b else x for x in label]
        groups = [[v for v, x in enumerate(label) if x == root] for root in sorted(set(label))]
        return sorted(groups, key=lambda g: -len(g))

    def match_counts(self) -> Int[ndarray, "view view"]:
        """Verified matches between any two photos."""
        counts = np.zeros((len(self.pixels),) * 2, np.int64)
        for pair in self.pairs:
            counts[pair.i, pair.j] = counts[pair.j, pair.i] = len(pair.matches)
        return counts

    def matches_of(self, view: int) -> int:
        """Verified matches of a photo with all others."""
        return int(self.match_counts()[view].sum())


def verify(
    pixels_i: Float[ndarray, "n 2"],
    pixels_j: Float[ndarray, "k 2"],
    matches: Int[ndarray, "m 2"],
    scales: Sequence[float],
    config: CameraConfig,
) -> tuple[Int[ndarray, "inlier 2"], Float[ndarray, "3 3"]]:
    """Matches that agree on a fundamental matrix (MAGSAC++, Barath et al. 2020), one partner a keypoint position.

    Args:
        scales: full-size pixels per matching pixel of either photo; errors are measured at the matching resolution.
    """
    none = np.zeros((0, 2), np.int64), np.zeros((3, 3))
    matches = keep_first(matches)
    if len(matches) < MIN_FOR_FUNDAMENTAL:
        return none
    a, b = pixels_i[matches[:, 0]] / scales[0], pixels_j[matches[:, 1]] / scales[1]
    fundamental, mask = cv2.findFundamentalMat(
        a, b, cv2.USAC_MAGSAC, ransacReprojThreshold=config.max_error_px, confidence=0.9999, maxIters=20000
    )
    if fundamental is None or fundamental.shape != (3, 3):
        return none
    to_i, to_j = np.diag([1 / scales[0], 1 / scales[0], 1]), np.diag([1 / scales[1], 1 / scales[1], 1])
    return matches[mask.ravel().astype(bool)], to_j @ fundamental @ to_i


def keep_first(matches: Int[ndarray, "m 2"]) -> Int[ndarray, "k 2"]:
    """Keep the first match of every keypoint on either side."""
    for side in (0, 1):
        _, first = np.unique(matches[:, side], return_index=True)
        matches = matches[np.sort(first)]
    return matches


def sampson_px(
    fundamental: Float[ndarray, "3 3"], a: Float[ndarray, "n 2"], b: Float[ndarray, "n 2"]
) -> Float[ndarray, " n"]:
    """Sampson distance in pixels of matches to `b^T F a = 0` (Hartley and Zisserman 2004, eq. 11.9)."""
    ah, bh = np.c_[a, np.ones(len(a))], np.c_[b, np.ones(len(b))]
    line_b, line_a = ah @ fundamental.T, bh @ fundamental
    top = np.abs((bh * line_b).sum(1))
    return top / np.sqrt((line_b[:, :2] ** 2).sum(1) + (line_a[:, :2] ** 2).sum(1) + 1e-300)
