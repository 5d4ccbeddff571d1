"""Photos of a textured room corner with a box in it, ray-cast with exact cameras, for the tests of camera estimation."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.images import ImageSet, Photo
from sparse3d.core.lens import undistort_points
from sparse3d.priors.stereo.model import Model, project
from sparse3d.priors.stereo.tracks import Tracks

SIZE = (400, 300)
FOCAL_PX = 360.0

# Origin, two spanning vectors: back wall, left wall, floor, and a box's front, side and top. y points down.
PATCHES = [
    ((-3.0, -2.5, 6.0), (6.0, 0.0, 0.0), (0.0, 4.0, 0.0)),
    ((-2.5, -2.5, 2.0), (0.0, 0.0, 5.0), (0.0, 4.0, 0.0)),
    ((-3.0, 1.2, 2.0), (6.0, 0.0, 0.0), (0.0, 0.0, 5.0)),
    ((-0.5, -0.2, 3.8), (1.3, 0.0, 0.4), (0.0, 1.4, 0.0)),
    ((-0.9, -0.2, 4.9), (0.4, 0.0, -1.1), (0.0, 1.4, 0.0)),
    ((-0.5, -0.2, 3.8), (1.3, 0.0, 0.4), (-0.4, 0.0, 1.1)),
]


def texture(seed: int, size: int = 640) -> np.ndarray:
    """Blotches and speckles at several scales, which SIFT finds and tells apart."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, 3))
    for cells, weight in ((10, 0.3), (30, 0.35), (80, 0.35), (160, 0.2)):
        noise = rng.random((cells, cells, 3)).astype(np.float32)
        total += weight * cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    total = (total - total.mean()) / total.std()
    return np.clip(128 + 55 * total, 0, 255).astype(np.uint8)


TEXTURES = [texture(seed) for seed in range(len(PATCHES))]


def look_at(centre: tuple[float, float, float], target: tuple[float, float, float] = (0.0, 0.2, 4.5)) -> np.ndarray:
    """cam_from_world of an upright camera."""
    z = np.subtract(target, centre)
    z = z / np.linalg.norm(z)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, np.cross(z, x), z])
    pose[:3, 3] = -pose[:3, :3] @ np.array(centre)
    return pose


def render(K: np.ndarray, cam_from_world: np.ndarray, k1: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The photo, through a lens of that radial distortion, and its exact z-depth (infinite where nothing is)."""
    xs, ys = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    if k1:
        straight = undistort_points(np.stack([xs.ravel(), ys.ravel()], 1), K, np.array([k1, 0.0, 0.0, 0.0]))
        xs, ys = straight.T.reshape(2, *xs.shape)
    rotation, centre = cam_from_world[:3, :3], -cam_from_world[:3, :3].T @ cam_from_world[:3, 3]
    rays = np.stack([xs, ys, np.ones_like(xs)], -1) @ np.linalg.inv(K).T @ rotation
    photo, nearest = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8), np.full((SIZE[1], SIZE[0]), np.inf)
    for (origin, u, v), picture in zip(PATCHES, TEXTURES, strict=True):
        # origin + a u + b v = centre + depth ray
        inverse = np.linalg.inv(np.stack([u, v, np.zeros(3)], 1) + np.outer(np.cross(u, v), [0, 0, 1]))
        start, slope = inverse @ (centre - np.array(origin)), rays @ inverse.T
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = -start[2] / slope[..., 2]
        a, b = (start[k] + np.nan_to_num(depth, posinf=0.0, neginf=0.0) * slope[..., k] for k in (0, 1))
        hit = (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1) & (depth > 0.1) & (depth < nearest)
        pixels_per_unit = 160
        at_x, at_y = (t * np.linalg.norm(w) * pixels_per_unit % 639 for t, w in ((a, u), (b, v)))
        seen = cv2.remap(picture, at_x.astype(np.float32), at_y.astype(np.float32), cv2.INTER_LINEAR)
        photo[hit], nearest[hit] = seen[hit], depth[hit]
    return photo, nearest


@dataclass(frozen=True)
class Scene:
    """Photos, their true cameras and depth."""

    images: ImageSet
    cameras: Cameras
    depths: list[np.ndarray]


CENTRES = [(-0.9, -0.3, 0.0), (0.0, -0.4, 0.3), (0.9, -0.3, 0.1), (0.3, -1.2, 0.2), (-0.5, 0.3, 0.4)]


def make_scene(count: int, k1: float = 0.0) -> Scene:
    """The first photos of the scene, taken through a lens of that radial distortion."""
    K = np.array([[FOCAL_PX, 0, SIZE[0] / 2], [0, FOCAL_PX, SIZE[1] / 2], [0, 0, 1]])
    poses = [look_at(centre) for centre in CENTRES[:count]]
    drawn = [render(K, pose, k1) for pose in poses]
    images = image_set([photo for photo, _ in drawn])
    cameras = Cameras.build(
        torch.from_numpy(np.stack(poses)),
        torch.from_numpy(np.stack([K] * count)),
        [SIZE] * count,
        distortion=torch.tensor([[k1, 0.0, 0.0, 0.0]], dtype=torch.float64).repeat(count, 1),
        names=images.names,
        groups=[0] * count,
        pose_known=True,
        intrinsics_known=True,
    )
    return Scene(images, cameras, [depth for _, depth in drawn])


def image_set(pixels: list[np.ndarray], *, focal_px: float | None = None) -> ImageSet:
    """An image set over arrays."""
    by_name = {f"photo{i}.png": p for i, p in enumerate(pixels)}
    photos = tuple(
        Photo(
            path=Path(name),
            name=name,
            size=(p.shape[1], p.shape[0]),
            focal_px=focal_px,
            camera_model=None,
            sha256=hashlib.sha256(p.tobytes()).hexdigest(),
            mask_path=None,
        )
        for name, p in by_name.items()
    )
    return ImageSet(
        photos,
        read_pixels=lambda photo: by_name[photo.name],
        read_mask=lambda photo: np.ones((photo.size[1], photo.size[0]), bool),
    )


def noise_photo(seed: int) -> np.ndarray:
    """A photo of something else."""
    picture = texture(seed + 100)
    return np.ascontiguousarray(picture[: SIZE[1], : SIZE[0]])


def surface_points(scene: Scene, model: Model) -> np.ndarray:
    """Points of the scene's surfaces that the first photo shows, away from depth edges and the border."""
    depth = scene.depths[0]
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(30, depth.shape[0] - 30, 600), rng.integers(30, depth.shape[1] - 30, 600)
    around = np.stack([depth[rows + dy, cols + dx] for dy in (-12, 0, 12) for dx in (-12, 0, 12)])
    flat = np.isfinite(around).all(0) & (np.ptp(around, axis=0) < 0.5)
    rows, cols = rows[flat], cols[flat]
    cam = np.stack([cols + 0.5, rows + 0.5, np.ones(len(rows))]) * depth[rows, cols]
    rays = np.linalg.inv(scene.cameras.K[0].numpy()) @ cam
    pose = model.cam_from_world[0]
    return (pose[:3, :3].T @ (rays - pose[:3, 3:])).T


def visible(scene: Scene, model: Model, view: int, points: np.ndarray) -> np.ndarray:
    pixels, depth = project(model, np.full(len(points), view), points)
    cols, rows = pixels.astype(int).T
    inside = (cols >= 12) & (rows >= 12) & (cols < 388) & (rows < 288)
    seen = np.full(len(points), np.nan)
    seen[inside] = scene.depths[view][rows[inside], cols[inside]]
    return np.abs(seen / depth - 1) < 0.005


def observations(scene: Scene, model: Model, points: np.ndarray, views: list[int], noise: float) -> Tracks:
    """Of points that all these views show; the first view is exact."""
    shown = np.logical_and.reduce([visible(scene, model, v, points) for v in views])
    points = points[shown]
    at = np.tile(views, len(points))
    owners = np.repeat(np.arange(len(points)), len(views))
    pixels, _ = project(model, at, points[owners])
    off = np.random.default_rng(1).normal(scale=noise, size=pixels.shape) * (at != views[0])[:, None]
    return Tracks(at, owners, pixels + off, np.full(len(at), 1.0), len(points))
