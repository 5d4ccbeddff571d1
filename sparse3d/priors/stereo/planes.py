"""The large planes of a scene (floors, walls, tables) from what its views are sure of (RANSAC, Fischler and Bolles 1981)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy import ndarray

from sparse3d.priors.stereo.plane_sweep import PosedImage

MOST_PLANES = 6
"""Planes looked for: rooms and streets have fewer that are large."""

MIN_SHARE = 0.05
"""Of all points: smaller planes are facets of curved things, and those do not go on."""

TRIALS = 200
"""Planes tried for each that is found: each goes through one point with its normal, so that one in twenty points suffices."""

NEAR_RELATIVE = 0.008
"""Distance from a plane over the depth within which a point lies on it: the noise of good depth."""

MIN_COSINE = 0.94
"""Between the normals of a plane and of a point on it: 20 degrees."""

POINTS_A_VIEW = 6000

NORMAL_WINDOW = 9
"""Side in pixels of the windows that normals are fitted over."""


@dataclass(frozen=True)
class Plane:
    """Points x of the world with `normal @ x + offset = 0`."""

    normal: Float[ndarray, "3"]
    offset: float

    def inverse_depth(self, view: PosedImage) -> Float32[ndarray, "h w"]:
        """Inverse z-depth at each pixel of a view; not positive where the ray misses the plane."""
        normal = view.cam_from_world[:3, :3] @ self.normal
        offset = self.offset - normal @ view.cam_from_world[:3, 3]
        if abs(offset) < 1e-12:
            return np.zeros(view.grey.shape, np.float32)
        return -(view.rays() @ (normal / offset).astype(np.float32))


def find_planes(
    views: Sequence[PosedImage],
    inverses: Sequence[Float32[ndarray, "_h _w"]],
    sure: Sequence[Bool[ndarray, "_h _w"]],
    *,
    seed: int = 0,
) -> list[Plane]:
    """Planes that hold a good share of what the views are sure of, the largest first.

    Args:
        inverses: inverse depth of each view.
        sure: which pixels of it count.
        seed: of the points drawn; the same one gives the same planes.
    """
    rng = np.random.default_rng(seed)
    samples = [_samples(v, u, s, rng) for v, u, s in zip(views, inverses, sure, strict=True)]
    points, normals, depths = (np.concatenate([s[k] for s in samples]) for k in range(3))
    free, planes = np.ones(len(points), bool), []
    while len(planes) < MOST_PLANES and free.sum() > max(3, MIN_SHARE * len(points)):
        seeds = rng.choice(np.flatnonzero(free), min(TRIALS, int(free.sum())), replace=False)
        tried = [Plane(normals[s], float(-normals[s] @ points[s])) for s in seeds]
        best = max(tried, key=lambda p: int((_on(p, points, normals, depths) & free).sum()))
        for _ in range(3):
            members = _on(best, points, normals, depths) & free
            if members.sum() < max(3, MIN_SHARE * len(points)):
                return planes
            best = _fitted(points[members], depths[members])
        planes.append(best)
        free &= np.abs(points @ best.normal + best.offset) > 2 * NEAR_RELATIVE * depths
    return planes


def _samples(
    view: PosedImage, inverse: Float32[ndarray, "h w"], sure: Bool[ndarray, "h w"], rng: np.random.Generator
) -> tuple[Float[ndarray, "n 3"], Float[ndarray, "n 3"], Float[ndarray, " n"]]:
    """Points with their unit normals and z-depths, where a window around them is flat."""
    normal, smooth = _local_planes(view, inverse, sure)
    rows, columns = np.nonzero(sure & (np.abs(smooth - inverse) < 0.01 * inverse) & (np.abs(normal).sum(-1) > 0))
    if len(rows) > POINTS_A_VIEW:
        chosen = np.sort(rng.choice(len(rows), POINTS_A_VIEW, replace=False))
        rows, columns = rows[chosen], columns[chosen]
    rotation, depth = view.cam_from_world[:3, :3], 1 / inverse[rows, columns].astype(np.float64)
    points = (view.rays()[rows, columns] * depth[:, None] - view.cam_from_world[:3, 3]) @ rotation
    facing = normal[rows, columns]
    return points, facing / np.linalg.norm(facing, axis=1, keepdims=True) @ rotation, depth


def _local_planes(
    view: PosedImage, inverse: Float32[ndarray, "h w"], sure: Bool[ndarray, "h w"]
) -> tuple[Float[ndarray, "h w 3"], Float[ndarray, "h w"]]:
    """Least-squares planes around each pixel, over the sure ones: normals in camera axes, and inverse depth on them."""
    height, width = inverse.shape
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    weight, u = sure.astype(np.float64), np.where(sure, inverse, 0).astype(np.float64)

    def mean(a: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
        return cv2.blur(a, (NORMAL_WINDOW, NORMAL_WINDOW))

    axes = (x, y, np.ones_like(x))
    matrix = np.stack([np.stack([mean(weight * a * b) for b in axes], -1) for a in axes], -2)
    right = np.stack([mean(u * a) for a in axes], -1)
    slope = np.linalg.solve(matrix + 1e-9 * np.eye(3), right[..., None])[..., 0]
    smooth = slope[..., 0] * x + slope[..., 1] * y + slope[..., 2]
    # Inverse depth is affine in the pixel, u = s @ pixel, and 1 = n @ X on the plane: n = K^T s.
    constant = slope[..., 2] - slope[..., 0] * width / 2 - slope[..., 1] * height / 2
    return np.stack([slope[..., 0], slope[..., 1], constant], -1) @ view.K, smooth


def _on(
    plane: Plane, points: Float[ndarray, "n 3"], normals: Float[ndarray, "n 3"], depths: Float[ndarray, " n"]
) -> Bool[ndarray, " n"]:
    near = np.abs(points @ plane.normal + plane.offset) < NEAR_RELATIVE * depths
    return near & (np.abs(normals @ plane.normal) > MIN_COSINE)


def _fitted(points: Float[ndarray, "n 3"], depths: Float[ndarray, " n"]) -> Plane:
    """The plane nearest to some points, distances relative to their depths."""
    weight = 1 / depths
    middle = weight @ points / weight.sum()
    normal = np.linalg.svd((points - middle) * weight[:, None], full_matrices=False)[2][2]
    return Plane(normal, float(-normal @ middle))
