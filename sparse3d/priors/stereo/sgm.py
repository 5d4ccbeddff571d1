"""Semi-global matching: smooth a cost volume along eight paths (Hirschmueller, PAMI 2008) and pick the best hypothesis.

Paths advance over whole rows at once, so that numpy's vector instructions do the work.
"""

import numpy as np
from jaxtyping import Float32, Int16, UInt8, UInt16


def aggregate(
    volume: UInt8[np.ndarray, "h d w"], grey: Float32[np.ndarray, "h w"], p1: int, p2: int, edge_scale: float
) -> UInt16[np.ndarray, "h d w"]:
    """Sum of the path costs over eight directions.

    Args:
        volume: matching costs, at most 100 or so, that the sums fit.
        grey: the view in [0, 1]; jumps of hypothesis are cheaper across its edges.
        p1: penalty of a change by one hypothesis.
        p2: penalty of a larger jump where the image is flat; never below `p1`.
        edge_scale: change of grey at which the jump's penalty is halved.

    Returns:
        Path costs, lower is better.
    """
    total = np.zeros(volume.shape, np.uint16)
    for step in (1, -1):
        for shift in (0, 1, -1):
            _accumulate(total, volume, _jump_penalty(grey, step, shift, p1, p2, edge_scale), p1, step, shift)
    turned = np.ascontiguousarray(volume.transpose(2, 1, 0))
    total_turned = np.zeros(turned.shape, np.uint16)
    for step in (1, -1):
        penalty = _jump_penalty(np.ascontiguousarray(grey.T), step, 0, p1, p2, edge_scale)
        _accumulate(total_turned, turned, penalty, p1, step, 0)
    total += total_turned.transpose(2, 1, 0)
    return total


def _jump_penalty(
    grey: Float32[np.ndarray, "h w"], step: int, shift: int, p1: int, p2: int, edge_scale: float
) -> Int16[np.ndarray, "h w"]:
    """Penalty of a jump when a path enters each pixel from the pixel (step rows, shift columns) before it."""
    before = np.roll(grey, (step, shift), axis=(0, 1))
    penalty = p2 / (1 + np.abs(grey - before) / edge_scale)
    return np.maximum(penalty, p1 + 1).astype(np.int16)


def _accumulate(
    total: UInt16[np.ndarray, "h d w"],
    volume: UInt8[np.ndarray, "h d w"],
    penalty: Int16[np.ndarray, "h w"],
    p1: int,
    step: int,
    shift: int,
) -> None:
    """Add the costs of the paths that advance by (step, shift) per row; `shift` is -1, 0 or 1 columns."""
    height, planes, width = volume.shape
    rows = range(height) if step > 0 else range(height - 1, -1, -1)
    previous = np.zeros((planes + 2, width), np.int16)
    fresh = np.zeros_like(previous)
    moved = np.zeros_like(previous)
    far = np.int16(10000)
    best = np.empty((planes, width), np.int16)
    for count, y in enumerate(rows):
        if count == 0:
            fresh[1:-1] = volume[y]
        else:
            source = previous
            if shift:
                _shift_columns(previous, moved, shift)
                source = moved
            floor = source[1:-1].min(axis=0)
            np.minimum(source[:-2], source[2:], out=best)
            best += np.int16(p1)
            np.minimum(best, source[1:-1], out=best)
            np.minimum(best, floor + penalty[y], out=best)
            best -= floor
            np.add(best, volume[y], out=fresh[1:-1])
        fresh[0] = fresh[-1] = far
        total[y] += fresh[1:-1].view(np.uint16)
        previous, fresh = fresh, previous


def _shift_columns(source: Int16[np.ndarray, "d w"], target: Int16[np.ndarray, "d w"], shift: int) -> None:
    """Move columns by one; the column that enters starts a new path (all zeros)."""
    if shift > 0:
        target[:, 1:] = source[:, :-1]
        target[:, 0] = 0
    else:
        target[:, :-1] = source[:, 1:]
        target[:, -1] = 0


def best_hypothesis(
    total: UInt16[np.ndarray, "h d w"],
) -> Float32[np.ndarray, "h w"]:
    """Index of the best hypothesis with a parabola's fraction."""
    planes = total.shape[1]
    index = total.argmin(axis=1)[:, None, :]
    best = np.take_along_axis(total, index, 1)[:, 0].astype(np.float32)
    below = np.take_along_axis(total, np.maximum(index - 1, 0), 1)[:, 0].astype(np.float32)
    above = np.take_along_axis(total, np.minimum(index + 1, planes - 1), 1)[:, 0].astype(np.float32)
    index = index[:, 0]
    curvature = below + above - 2 * best
    inner = (index > 0) & (index < planes - 1) & (curvature > 0)
    fraction = np.where(inner, 0.5 * (below - above) / np.where(inner, curvature, 1), 0)
    return (index + fraction).astype(np.float32)
