"""Procedural noise on regular grids: smooth fractal noise and Voronoi cells. Arrays are (h, w), lengths metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class Grid:
    """A texture's raster on a surface of `width_m` by `height_m` metres; row 0 lies at v = 0."""

    width_m: float
    height_m: float
    texel_m: float

    @property
    def shape(self) -> tuple[int, int]:
        return max(4, round(self.height_m / self.texel_m)), max(4, round(self.width_m / self.texel_m))

    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Metres along u and v of every texel centre, each (h, w)."""
        h, w = self.shape
        x = (np.arange(w) + 0.5) * (self.width_m / w)
        y = (np.arange(h) + 0.5) * (self.height_m / h)
        grid_x, grid_y = np.meshgrid(x, y)
        return grid_x, grid_y


def smooth_noise(x: np.ndarray, y: np.ndarray, size_m: float, rng: np.random.Generator) -> np.ndarray:
    """Cubic-interpolated lattice noise in about [-1, 1] with features of `size_m`, at the points (x, y)."""
    gx, gy = x / size_m, y / size_m
    gx, gy = gx - np.floor(gx.min()) + 2, gy - np.floor(gy.min()) + 2
    lattice = rng.uniform(-1, 1, (int(gy.max()) + 4, int(gx.max()) + 4))
    return map_coordinates(lattice, [gy, gx], order=3, mode="nearest")


def fractal(
    x: np.ndarray, y: np.ndarray, size_m: float, rng: np.random.Generator, *, octaves: int = 5, gain: float = 0.6
) -> np.ndarray:
    """Sum of `octaves` noises, each half the size and `gain` times the amplitude of the one before; unit variance."""
    total = np.zeros(x.shape)
    for octave in range(octaves):
        total += gain**octave * smooth_noise(x, y, size_m / 2**octave, rng)
    return (total - total.mean()) / max(total.std(), 1e-9)


def voronoi(
    x: np.ndarray, y: np.ndarray, size_m: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """Cells around jittered sites.

    Returns:
        cell number per point, distance to the cell's border in metres (approximate), number of cells.
    """
    x0, y0 = x.min() - 2 * size_m, y.min() - 2 * size_m
    nx, ny = int((x.max() - x0) / size_m) + 4, int((y.max() - y0) / size_m) + 4
    sites = np.stack(np.meshgrid(np.arange(nx), np.arange(ny)), -1).reshape(-1, 2).astype(float)
    sites = (sites + rng.uniform(-0.42, 0.42, sites.shape)) * size_m + np.array([x0, y0])
    distance, index = cKDTree(sites).query(np.stack([x.ravel(), y.ravel()], -1), k=2)
    border = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (
        2 * np.linalg.norm(sites[index[:, 1]] - sites[index[:, 0]], axis=-1)
    )
    return index[:, 0].reshape(x.shape), border.reshape(x.shape), len(sites)


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Blend two colour fields (h w 3 or 3) by `weight` (h w): 0 gives `a`, 1 gives `b`."""
    return a + (b - a) * weight[..., None]
