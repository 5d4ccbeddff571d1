"""The slow twin of `sparse3d.kernels.patchmatch`'s cost: one pixel and one plane at a time, in float64."""

import numpy as np

from sparse3d.kernels.patchmatch import PatchmatchOptions, Planes, StereoView

OFFSETS = np.arange(-5, 6, 2)
TEXTURE_NOISE, GREY_SCALE, DISTANCE_SCALE, GREY_TRUNCATION = 2.5, 18.0, 5.0, 30.0


def bilinear(byte: np.ndarray, x: float, y: float) -> float:
    x, y = (min(max(at, 0.0), side - 1.001) for at, side in ((x, byte.shape[1]), (y, byte.shape[0])))
    left, top = int(x), int(y)
    fx, fy = x - left, y - top
    upper, lower = ((1 - fx) * byte[row, left] + fx * byte[row, left + 1] for row in (top, top + 1))
    return (1 - fy) * upper + fy * lower


def view_cost(
    reference: np.ndarray,
    x: int,
    y: int,
    plane: tuple[float, float, float],
    view: StereoView,
    options: PatchmatchOptions,
) -> float:
    """Cost of a plane (inverse depth and its slopes) at a pixel in one view; 2 where that does not see it."""
    other = (view.quads & 255).astype(np.float64)
    inverse, slope_x, slope_y = plane

    def place(dx: float, dy: float) -> np.ndarray:
        ray = view.homography @ (x + dx + 0.5, y + dy + 0.5, 1)
        return ray + (inverse + slope_x * dx + slope_y * dy) * view.shift

    centre = place(0, 0)
    at = centre[:2] / centre[2]
    if centre[2] <= 0 or (at <= 0).any() or (at >= (other.shape[1] - 1, other.shape[0] - 1)).any():
        return 2.0
    height, width = reference.shape
    mine, theirs, weights = [], [], []
    for dy in OFFSETS:
        for dx in OFFSETS:
            value = reference[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]
            mine.append(value)
            distance = (dx * dx + dy * dy) / (2 * DISTANCE_SCALE**2)
            weights.append(np.exp(-abs(value - reference[y, x]) / GREY_SCALE - distance))
            there = place(dx, dy)
            theirs.append(bilinear(other, there[0] / there[2], there[1] / there[2]))
    a, b, w = (np.array(v) for v in (mine, theirs, weights))
    w /= w.sum()
    mean_a, mean_b = w @ a, w @ b
    variances = [w @ (v - m) ** 2 + TEXTURE_NOISE**2 for v, m in ((a, mean_a), (b, mean_b))]
    cost = np.clip(1 - w @ ((a - mean_a) * (b - mean_b)) / np.sqrt(np.prod(variances)), 0, 1)
    cost += options.grey_share * (min(abs(mean_b - mean_a) / GREY_TRUNCATION, 1) - cost)
    if view.inverse is not None and options.geometric_share > 0:
        surface = view.inverse[int(at[1] + 0.5), int(at[0] + 0.5)]
        back = view.back_homography @ (at[0], at[1], 1) + surface * view.back_shift
        missed = np.hypot(*(back[:2] / back[2] - (x + 0.5, y + 0.5)))
        cost += options.geometric_share * (min(missed / options.max_error_px, 1) if surface > 0 else 1)
    return float(cost)


def view_costs(
    reference: np.ndarray, planes: Planes, views: list[StereoView], options: PatchmatchOptions
) -> np.ndarray:
    """`view_cost` of every pixel's plane in every view."""
    height, width = reference.shape
    maps = (planes.inverse, planes.slope_x, planes.slope_y)
    costs = np.empty((len(views), height, width))
    for v, y, x in np.ndindex(costs.shape):
        costs[v, y, x] = view_cost(reference, x, y, tuple(float(m[y, x]) for m in maps), views[v], options)
    return costs
