"""Light baked into textures: a soft sun, an occluded sky and one constant bounce. View-independent by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from .surfaces import Surface

LIGHTMAP_TEXEL_M = 0.025  # half the penumbra's width at one metre, so that a soft shadow's edge is resolved
LIFT_M = 2e-3  # how far above its surface a light sample starts


@dataclass(frozen=True)
class Light:
    """`sun_direction` points from the scene to the sun; colours are linear RGB."""

    sun_direction: np.ndarray
    sun_colour: np.ndarray
    sky_colour: np.ndarray
    bounce_colour: np.ndarray
    sun_radius_rad: float = 0.03
    sun_rays: int = 24
    sky_rays: int = 48


def occluded(surfaces: list[Surface], origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Whether anything lies on each ray, (n,) bool."""
    blocked = np.zeros(len(origin), dtype=bool)
    for surface in surfaces:
        todo = np.flatnonzero(~blocked)
        if len(todo):
            blocked[todo] = np.isfinite(surface.intersect(origin[todo], direction[todo])[0])
    return blocked


def spiral(count: int) -> np.ndarray:
    """Points spread evenly over the unit disk (sunflower), (count, 2)."""
    k = np.arange(count) + 0.5
    angle = k * np.pi * (3 - np.sqrt(5))
    return np.sqrt(k / count)[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)


def frame_around(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors perpendicular to each `axis` (n, 3) and to one another."""
    helper = np.where(np.abs(axis[:, 2:3]) < 0.9, np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]]))
    first = np.cross(helper, axis)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    return first, np.cross(axis, first)


def visibility(
    surface: Surface, surfaces: list[Surface], light: Light, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Visible share of the sun and of the sky (cosine-weighted hemisphere), each `shape`, one a light sample."""
    u, v = np.meshgrid((np.arange(shape[1]) + 0.5) / shape[1], (np.arange(shape[0]) + 0.5) / shape[0])
    u, v = u.ravel(), v.ravel()
    normal = surface.normal(u, v)
    origin = surface.point(u, v) + LIFT_M * normal
    axis = light.sun_direction[None] / np.linalg.norm(light.sun_direction)
    side, up = frame_around(axis)
    sun = np.zeros(len(u))
    facing = (normal @ axis[0]) > -0.3  # a bumpy texture may still face the sun where its surface just does not
    for a, b in spiral(light.sun_rays) * light.sun_radius_rad:
        ray = np.broadcast_to(axis + a * side + b * up, normal.shape)
        sun[facing] += ~occluded(surfaces, origin[facing], ray[facing])
    side, up = frame_around(normal)
    sky = np.zeros(len(u))
    for a, b in spiral(light.sky_rays):
        ray = a * side + b * up + np.sqrt(max(0.0, 1 - a * a - b * b)) * normal
        above = ray[:, 2] > 0
        sky[above] += ~occluded(surfaces, origin[above], ray[above])
    return (sun / light.sun_rays).reshape(shape), (sky / light.sky_rays).reshape(shape)


def resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear enlargement of a light map whose samples are cell centres."""
    factors = (shape[0] / image.shape[0], shape[1] / image.shape[1])
    return zoom(gaussian_filter(image, 0.6), factors, order=1, mode="nearest", grid_mode=True)


def bumped_normals(surface: Surface, height_m: np.ndarray) -> np.ndarray:
    """Normals (h, w, 3) of the surface displaced by the texture's relief; the geometry itself stays smooth."""
    h, w = height_m.shape
    u, v = np.meshgrid((np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h)
    points = surface.point(u.ravel(), v.ravel()).reshape(h, w, 3)
    normal = surface.normal(u.ravel(), v.ravel()).reshape(h, w, 3)
    for axis in (0, 1):
        tangent = np.gradient(points, axis=axis)
        length = np.linalg.norm(tangent, axis=-1) + 1e-6
        slope = np.gradient(height_m, axis=axis) / length
        normal = normal - np.clip(slope, -1.5, 1.5)[..., None] * tangent / length[..., None]
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def bake(
    surface: Surface,
    size_m: tuple[float, float],
    texture: tuple[np.ndarray, np.ndarray],
    surfaces: list[Surface],
    light: Light,
) -> np.ndarray:
    """Radiance texture (h, w, 3), linear RGB: albedo times the light that reaches each texel.

    Args:
        size_m: the surface's extent along u and v.
        texture: albedo (h, w, 3) in linear RGB and relief (h, w) in metres.
    """
    albedo, height_m = texture
    coarse = (max(4, round(size_m[1] / LIGHTMAP_TEXEL_M)), max(4, round(size_m[0] / LIGHTMAP_TEXEL_M)))
    sun, sky = (resize(part, height_m.shape) for part in visibility(surface, surfaces, light, coarse))
    normal = bumped_normals(surface, height_m)
    axis = light.sun_direction / np.linalg.norm(light.sun_direction)
    direct = np.clip(sun, 0, 1) * np.clip(normal @ axis, 0, None)
    ambient = np.clip(sky, 0, 1) * (0.6 + 0.4 * normal[..., 2].clip(-1, 1))
    irradiance = direct[..., None] * light.sun_colour + ambient[..., None] * light.sky_colour
    return albedo * (irradiance + (0.35 + 0.65 * np.clip(sky, 0, 1))[..., None] * light.bounce_colour)
