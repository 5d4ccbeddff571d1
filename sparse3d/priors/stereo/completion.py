"""Fill what no second view confirms, along the image's edges, and keep depth edges sharp."""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

COARSEST_SIDE = 24
"""The pyramid of the solver ends when the smaller side falls below this."""

ITERATIONS = 40
"""Conjugate-gradient steps a level; warm starts from the coarser level make more of them invisible."""

COLOUR_SCALE = 0.04
"""Difference of colour (largest channel) at which two neighbouring pixels' bond drops by e."""

WEAKEST_BOND = 1e-3
"""Bond across the strongest colour edge: an enclosed region without data still takes its surroundings' depth."""


def complete(
    inverse: Float32[np.ndarray, "h w"],
    weight: Float32[np.ndarray, "h w"],
    colour: Float32[np.ndarray, "h w 3"],
    smoothness: float,
) -> Float32[np.ndarray, "h w"]:
    """Weighted least squares: stay near the data where it has weight, vary little where the image does.

    Minimises `sum w (u - data)^2 + smoothness * sum bond (u_i - u_j)^2` over neighbouring pixels by conjugate
    gradients, from coarse to fine. (Farbman et al. 2008, with colour bonds.) Planes are affine in inverse depth and
    affine functions are harmonic, so that a wall known around a gap is continued exactly.

    Args:
        inverse: data, any value where `weight` is 0.
        weight: non-negative; all zero gives zeros.
        colour: the guide, in [0, 1].
        smoothness: weight of the bonds against the data's.
    """
    if not (weight > 0).any():
        return np.zeros_like(inverse)
    return _minimise(inverse, weight, colour, smoothness)


def _minimise(
    data: Float32[np.ndarray, "h w"],
    weight: Float32[np.ndarray, "h w"],
    colour: Float32[np.ndarray, "h w 3"],
    smoothness: float,
) -> Float32[np.ndarray, "h w"]:
    """The least-squares solution from coarse to fine, each level started from the coarser one."""
    height, width = data.shape
    if min(height, width) // 2 < COARSEST_SIDE:
        start = np.full_like(data, float((data * weight).sum() / max(float(weight.sum()), 1e-12)))
        return _solve(data, weight, colour, smoothness, start, ITERATIONS * 10)
    size = (width // 2, height // 2)

    def shrink(a: np.ndarray) -> np.ndarray:
        return cv2.resize(a, size, interpolation=cv2.INTER_AREA)

    small_weight = shrink(weight)
    small_data = shrink(data * weight) / np.maximum(small_weight, 1e-12)
    coarse = _minimise(small_data, 4 * small_weight, shrink(colour), smoothness)
    start = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return _solve(data, weight, colour, smoothness, start, ITERATIONS)


def _bonds(colour: Float32[np.ndarray, "h w 3"], axis: int) -> Float32[np.ndarray, "h2 w2"]:
    """Bond of every pixel with the next one along an axis."""
    difference = np.abs(np.diff(colour, axis=axis)).max(-1)
    return (np.exp(-difference / COLOUR_SCALE) + WEAKEST_BOND).astype(np.float32)


def _solve(
    data: Float32[np.ndarray, "h w"],
    weight: Float32[np.ndarray, "h w"],
    colour: Float32[np.ndarray, "h w 3"],
    smoothness: float,
    start: Float32[np.ndarray, "h w"],
    steps: int,
) -> Float32[np.ndarray, "h w"]:
    """Jacobi-preconditioned conjugate gradients on one level."""
    right = np.zeros_like(data)
    down = np.zeros_like(data)
    right[:, :-1] = smoothness * _bonds(colour, 1)
    down[:-1] = smoothness * _bonds(colour, 0)
    diagonal = weight + right + down
    diagonal[:, 1:] += right[:, :-1]
    diagonal[1:] += down[:-1]
    target = weight * data
    inverse_diagonal = 1 / np.maximum(diagonal, 1e-12)

    def apply(x: np.ndarray) -> np.ndarray:
        y = diagonal * x
        y[:, :-1] -= right[:, :-1] * x[:, 1:]
        y[:, 1:] -= right[:, :-1] * x[:, :-1]
        y[:-1] -= down[:-1] * x[1:]
        y[1:] -= down[:-1] * x[:-1]
        return y

    x = start.astype(np.float32)
    residual = target - apply(x)
    z = inverse_diagonal * residual
    direction = z.copy()
    rho = float(np.vdot(residual, z))
    for _ in range(steps):
        if rho <= 0:
            break
        pushed = apply(direction)
        alpha = np.float32(rho / max(float(np.vdot(direction, pushed)), 1e-30))
        x += alpha * direction
        residual -= alpha * pushed
        z = inverse_diagonal * residual
        rho_next = float(np.vdot(residual, z))
        direction = z + np.float32(rho_next / rho) * direction
        rho = rho_next
    return x


def depth_edges(inverse: Float32[np.ndarray, "h w"], relative: float) -> Bool[np.ndarray, "h w"]:
    """Pixels whose 3x3 neighbourhood spans more than a relative range of inverse depth."""
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(inverse, kernel), cv2.dilate(inverse, kernel)
    return (high - low) > relative * np.maximum(high, 1e-12)


def sharpen_edges(
    inverse: Float32[np.ndarray, "h w"],
    weight: Float32[np.ndarray, "h w"],
    colour: Float32[np.ndarray, "h w 3"],
    relative: float,
    radius: int = 3,
) -> Float32[np.ndarray, "h w"]:
    """Colour-guided weighted median around depth edges: every pixel there joins one side, the one it looks like."""
    band = cv2.dilate(depth_edges(inverse, relative).astype(np.uint8), np.ones((2 * radius - 1,) * 2, np.uint8)) > 0
    rows, columns = np.nonzero(band)
    if len(rows) == 0:
        return inverse
    padded = [np.pad(a, [(radius, radius), (radius, radius)] + [(0, 0)] * (a.ndim - 2), mode="edge")
              for a in (inverse, weight, colour)]  # fmt: skip
    values, weights = [], []
    own = colour[rows, columns]
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            at = (rows + dy, columns + dx)
            likeness = np.exp(-np.abs(padded[2][at] - own).max(-1) / COLOUR_SCALE)
            values.append(padded[0][at])
            weights.append((padded[1][at] + np.float32(0.02)) * (likeness + np.float32(1e-3)))
    stack, mass = np.stack(values), np.stack(weights)
    order = stack.argsort(axis=0)
    cumulative = np.take_along_axis(mass, order, 0).cumsum(axis=0)
    middle = (cumulative < 0.5 * cumulative[-1]).sum(axis=0)
    chosen = np.take_along_axis(order, middle[None], 0)
    result = inverse.copy()
    result[rows, columns] = np.take_along_axis(stack, chosen, 0)[0]
    return result


def remove_speckles(index: Float32[np.ndarray, "h w"], largest: int, step: float) -> Bool[np.ndarray, "h w"]:
    """True on connected regions of nearly constant hypothesis index that are too small to be trusted."""
    coded = np.clip(index * 16 + 16, 0, 32000).astype(np.int16)
    filtered = coded.copy()
    cv2.filterSpeckles(filtered, 0, largest, step * 16)
    return filtered != coded
