"""Surfaces that rays can hit, each with a parametrisation (u, v) in [0, 1] for its texture. World: metres, z up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

MIN_DISTANCE = 1e-4  # a shadow ray must not hit the surface that it starts from


class Surface(Protocol):
    """What the ray caster needs of a surface; arrays of points and directions are (n, 3)."""

    def intersect(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ray parameter t (inf where missed), u and v, each (n,)."""
        ...

    def point(self, u: np.ndarray, v: np.ndarray) -> np.ndarray: ...

    def normal(self, u: np.ndarray, v: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Rectangle:
    """The points corner + u * edge_u + v * edge_v; its outward normal is edge_u x edge_v."""

    corner: np.ndarray
    edge_u: np.ndarray
    edge_v: np.ndarray

    def intersect(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        normal = np.cross(self.edge_u, self.edge_v)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = ((self.corner - origin) @ normal) / (direction @ normal)
            t = np.where((t > MIN_DISTANCE) & np.isfinite(t), t, np.inf)
        offset = origin + np.where(np.isfinite(t), t, 0)[:, None] * direction - self.corner
        u = offset @ self.edge_u / (self.edge_u @ self.edge_u)
        v = offset @ self.edge_v / (self.edge_v @ self.edge_v)
        inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
        return np.where(inside, t, np.inf), u, v

    def point(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return self.corner + u[:, None] * self.edge_u + v[:, None] * self.edge_v

    def normal(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        normal = np.cross(self.edge_u, self.edge_v)
        return np.broadcast_to(normal / np.linalg.norm(normal), (*u.shape, 3))


@dataclass(frozen=True)
class Sphere:
    """u runs around the z axis with its seam at +y (away from the cameras), v from the bottom (0) to the top (1)."""

    centre: np.ndarray
    radius: float

    def intersect(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        relative = origin - self.centre
        a = np.einsum("ni,ni->n", direction, direction)
        b = np.einsum("ni,ni->n", relative, direction)
        discriminant = b * b - a * (np.einsum("ni,ni->n", relative, relative) - self.radius**2)
        root = np.sqrt(np.maximum(discriminant, 0))
        near, far = (-b - root) / a, (-b + root) / a
        t = np.where(near > MIN_DISTANCE, near, far)
        hit = (discriminant > 0) & (t > MIN_DISTANCE)
        local = (relative + t[:, None] * direction) / self.radius
        u = np.arctan2(local[:, 0], -local[:, 1]) / (2 * np.pi) + 0.5
        v = np.arcsin(np.clip(local[:, 2], -1, 1)) / np.pi + 0.5
        return np.where(hit, t, np.inf), u, v

    def point(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return self.centre + self.radius * self.normal(u, v)

    def normal(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        longitude, latitude = (u - 0.5) * 2 * np.pi, (v - 0.5) * np.pi
        ring = np.cos(latitude)
        return np.stack([ring * np.sin(longitude), -ring * np.cos(longitude), np.sin(latitude)], -1)


@dataclass(frozen=True)
class Revolution:
    """A vertical body of revolution: a stack of cone frusta through `radii` at the heights `heights` over `base`.

    u runs around the axis with its seam at +y, v from the first height (0) to the last (1). No caps.
    """

    base: np.ndarray
    heights: np.ndarray
    radii: np.ndarray

    def intersect(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        best_t = np.full(len(direction), np.inf)
        best_u, best_v = np.zeros(len(direction)), np.zeros(len(direction))
        relative = origin - self.base
        candidates = np.flatnonzero(self._may_hit(relative, direction))
        relative = np.broadcast_to(relative, direction.shape)[candidates]
        ray = direction[candidates]
        for i in range(len(self.heights) - 1):
            t = self._frustum(relative, ray, i)
            nearer = t < best_t[candidates]
            hit = candidates[nearer]
            best_t[hit] = t[nearer]
            local = relative[nearer] + t[nearer, None] * ray[nearer]
            best_u[hit] = np.arctan2(local[:, 0], -local[:, 1]) / (2 * np.pi) + 0.5
            best_v[hit] = (local[:, 2] - self.heights[0]) / (self.heights[-1] - self.heights[0])
        return best_t, best_u, best_v

    def _may_hit(self, relative: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Whether the ray's line passes the bounding cylinder's axis within the largest radius."""
        flat = np.linalg.norm(direction[:, :2], axis=-1)
        across = relative[..., 0] * direction[:, 1] - relative[..., 1] * direction[:, 0]
        return np.abs(across) <= flat * self.radii.max()

    def _frustum(self, relative: np.ndarray, direction: np.ndarray, i: int) -> np.ndarray:
        z0, z1, r0, r1 = self.heights[i], self.heights[i + 1], self.radii[i], self.radii[i + 1]
        slope = (r1 - r0) / (z1 - z0)
        radius = r0 + slope * (relative[:, 2] - z0)
        growth = slope * direction[:, 2]
        a = direction[:, 0] ** 2 + direction[:, 1] ** 2 - growth**2
        b = relative[:, 0] * direction[:, 0] + relative[:, 1] * direction[:, 1] - radius * growth
        c = relative[:, 0] ** 2 + relative[:, 1] ** 2 - radius**2
        discriminant = b * b - a * c
        root = np.sqrt(np.maximum(discriminant, 0))
        best = np.full(len(direction), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            for t in ((-b - root) / a, (-b + root) / a):
                z = relative[:, 2] + t * direction[:, 2]
                ok = (discriminant > 0) & (t > MIN_DISTANCE) & (z >= z0) & (z <= z1) & (radius + t * growth >= 0)
                best = np.where(ok & (t < best), t, best)
        return best

    def point(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        longitude = (u - 0.5) * 2 * np.pi
        z = self.heights[0] + v * (self.heights[-1] - self.heights[0])
        radius = np.interp(z, self.heights, self.radii)
        return self.base + np.stack([radius * np.sin(longitude), -radius * np.cos(longitude), z], -1)

    def normal(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        longitude = (u - 0.5) * 2 * np.pi
        z = self.heights[0] + v * (self.heights[-1] - self.heights[0])
        slope = np.interp(z, self.heights, np.gradient(self.radii, self.heights))
        normal = np.stack([np.sin(longitude), -np.cos(longitude), -slope], -1)
        return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def disk(centre: np.ndarray, radius: float) -> Revolution:
    """A nearly flat lid: one very shallow cone from the rim up to the centre."""
    return Revolution(centre, np.array([0.0, 1e-3]), np.array([radius, 1e-4]))


def box(centre: tuple[float, float, float], size: tuple[float, float, float], turn_deg: float) -> list[Rectangle]:
    """Front (-y), right (+x), left (-x), back (+y) and top faces of an upright box turned about z; no bottom.

    Texture v points up on the sides and backwards on the top.
    """
    angle = np.deg2rad(turn_deg)
    x = np.array([np.cos(angle), np.sin(angle), 0.0]) * size[0]
    y = np.array([-np.sin(angle), np.cos(angle), 0.0]) * size[1]
    z = np.array([0.0, 0.0, size[2]])
    low = np.array(centre) - (x + y + z) / 2
    return [
        Rectangle(low, x, z),
        Rectangle(low + x, y, z),
        Rectangle(low + y, -y, z),
        Rectangle(low + x + y, -x, z),
        Rectangle(low + z, x, y),
    ]
