"""Fill what no second view confirms, along the image's edges, and keep depth edges sharp."""

import cv2
import numpy as np
import scipy.sparse as sparse
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
    gradients, from coarse to fine. (Farbman et al. 2008, with colour bonds.)

    Args:
        inverse: data, any value where `weight` is 0.
        weight: non-negative; all zero gives zeros.
        colour: the guide, in [0, 1].
        smoothness: weight of the bonds against the data's.
    """
    if not (weight > 0).any():
        return np.zeros_like(inverse)
    height, width = inverse.shape
    if min(height, width) // 2 >= COARSEST_SIDE:
        size = (width // 2, height // 2)
        small_weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        small_data = cv2.resize(inverse * weight, size, interpolation=cv2.INTER_AREA) / np.maximum(small_weight, 1e-12)
        small_colour = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
        coarse = complete(small_data, small_weight, small_colour, smoothness)
        start = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        start = np.where(weight > 0, (start + weight * 10 * inverse) / (1 + weight * 10), start)
        steps = ITERATIONS
    else:
        start = np.full_like(inverse, float((inverse * weight).sum() / weight.sum()))
        steps = ITERATIONS * 10
    return _solve(inverse, weight, colour, smoothness, start, steps)


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
    height, width = data.shape
    count = height * width
    right = np.zeros((height, width), np.float32)
    down = np.zeros((height, width), np.float32)
    right[:, :-1] = smoothness * _bonds(colour, 1)
    down[:-1] = smoothness * _bonds(colour, 0)
    diagonal = weight + right + down
    diagonal[:, 1:] += right[:, :-1]
    diagonal[1:] += down[:-1]
    r, d = right.ravel(), down.ravel()
    matrix = sparse.diags(
        [diagonal.ravel(), -r[:-1], -r[:-1], -d[:-width], -d[:-width]],
        offsets=[0, 1, -1, width, -width],
        shape=(count, count),
        format="csr",
    )
    inverse_diagonal = 1 / np.maximum(diagonal.ravel(), 1e-12)
    x = start.ravel().astype(np.float32)
    residual = (weight * data).ravel() - matrix @ x
    z = inverse_diagonal * residual
    direction = z.copy()
    rho = float(residual @ z)
    for _ in range(steps):
        if rho < 1e-20:
            break
        pushed = matrix @ direction
        alpha = np.float32(rho / max(float(direction @ pushed), 1e-30))
        x += alpha * direction
        residual -= alpha * pushed
        z = inverse_diagonal * residual
        rho_next = float(residual @ z)
        direction = z + np.float32(rho_next / rho) * direction
        rho = rho_next
    return x.reshape(height, width).astype(np.float32)


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
