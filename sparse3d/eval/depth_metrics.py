"""How far a depth map is from a true one, and whether what it calls uncertain is what is wrong.

Maps are (h, w) z-depth; a value that is not a positive number is unknown. Only pixels with true depth count.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

DepthMap = Float[ndarray, "_h _w"]

DELTA = 1.25
"""Base of the thresholds of accuracy (Eigen et al. 2014)."""

KEPT = tuple(round(0.1 * k, 1) for k in range(1, 11))
"""Shares of the pixels, the most confident first, at which the sparsification curve is read."""

MAX_RELATIVE_ERROR = 1.0
"""Errors are cut off here in a sparsification curve: a single depth near the horizon would outweigh all others."""


@dataclass(frozen=True)
class DepthScore:
    """Errors of a depth map.

    Attributes:
        pixels: number of pixels with true and with estimated depth, over which the figures below are means.
        known: share of the pixels with true depth that have an estimate.
        scale: what the estimate was multiplied by before it was compared.
        abs_rel: mean of |d - t| / t.
        rmse: root of the mean squared d - t, in the truth's unit.
        delta: share of the pixels with max(d / t, t / d) below 1.25, 1.25^2 and 1.25^3.
    """

    pixels: int
    known: float
    scale: float
    abs_rel: float
    rmse: float
    delta: tuple[float, float, float]


@dataclass(frozen=True)
class Sparsification:
    """The mean error of the most confident share of the pixels, for growing shares (Ilg et al. 2018; Poggi et al. 2020).

    Attributes:
        kept: the shares.
        by_confidence: the mean error of so many pixels, the most confident first.
        oracle: the same in the best possible order, that of the error itself.
        random: the mean error of all pixels, what an order without meaning gives for any share.
        ause: mean distance of the two curves (area under the sparsification error).
        ause_of_random: `ause` as a share of that of a random order: 0 is perfect, 1 is worthless; NaN where all errors are
            equal.
    """

    kept: tuple[float, ...]
    by_confidence: tuple[float, ...]
    oracle: tuple[float, ...]
    random: float
    ause: float
    ause_of_random: float


def comparable(depth: DepthMap, truth: DepthMap) -> Bool[ndarray, "_h _w"]:
    """Pixels with true and with estimated depth.

    Raises:
        ValueError: the sizes differ.
    """
    if depth.shape != truth.shape:
        raise ValueError(f"depth maps of shapes {depth.shape} and {truth.shape} cannot be compared")
    return _known(depth) & _known(truth)


def median_scale(depth: DepthMap, truth: DepthMap) -> float:
    """The factor that makes the median of the estimate that of the truth, over the pixels that have both.

    Raises:
        ValueError: the sizes differ, or no pixel has both.
    """
    both = comparable(depth, truth)
    if not both.any():
        raise ValueError("no pixel has a true and an estimated depth")
    return float(np.median(truth[both].astype(np.float64)) / np.median(depth[both].astype(np.float64)))


def depth_errors(depth: DepthMap, truth: DepthMap, *, scale: float = 1.0) -> DepthScore:
    """Compare an estimate, multiplied by a scale, with the truth (Eigen et al. 2014, section 4.2).

    Args:
        depth, truth: in the same unit after the multiplication.
        scale: 1 compares as they are; `median_scale(depth, truth)` takes away a wrong scale of this very map.

    Raises:
        ValueError: the sizes differ, or no pixel has both.
    """
    both = comparable(depth, truth)
    if not both.any():
        raise ValueError("no pixel has a true and an estimated depth")
    d, t = scale * depth[both].astype(np.float64), truth[both].astype(np.float64)
    ratio = np.maximum(d / t, t / d)
    first, second, third = (float((ratio < DELTA**k).mean()) for k in (1, 2, 3))
    return DepthScore(
        pixels=int(both.sum()),
        known=float(both.sum() / _known(truth).sum()),
        scale=float(scale),
        abs_rel=float((np.abs(d - t) / t).mean()),
        rmse=float(np.sqrt(((d - t) ** 2).mean())),
        delta=(first, second, third),
    )


def sparsification(
    confidence: Float[ndarray, " _n"], error: Float[ndarray, " _n"], *, kept: tuple[float, ...] = KEPT
) -> Sparsification:
    """Order pixels by confidence and see whether the error falls with it.

    Args:
        confidence: any figure that should be large where the error is small.
        error: relative ones of depth, absolute ones of colours; cut off at `MAX_RELATIVE_ERROR`, so infinite where there
            is no estimate.
        kept: shares of the pixels at which the curves are read.

    Raises:
        ValueError: there is no pixel, or the lengths differ.
    """
    if len(confidence) != len(error) or len(error) == 0:
        raise ValueError(
            f"sparsification: {len(confidence)} confidences and {len(error)} errors, expected equally many"
        )
    capped = np.minimum(error.astype(np.float64), MAX_RELATIVE_ERROR)
    # Equal confidences in random order: the order of the pixels in the picture means nothing.
    ties = np.random.default_rng(0).random(len(capped))
    by_confidence, by_error = capped[np.lexsort((ties, -confidence))], np.sort(capped)
    counts = (np.array(kept) * len(capped)).astype(int).clip(1)
    curve, oracle = (np.cumsum(x)[counts - 1] / counts for x in (by_confidence, by_error))
    ause, worst = float((curve - oracle).mean()), float((capped.mean() - oracle).mean())
    return Sparsification(
        kept=tuple(kept),
        by_confidence=tuple(curve.tolist()),
        oracle=tuple(oracle.tolist()),
        random=float(capped.mean()),
        ause=ause,
        ause_of_random=ause / worst if worst > 0 else float("nan"),
    )


def _known(depth: ndarray) -> ndarray:
    return np.isfinite(depth) & (depth > 0)
