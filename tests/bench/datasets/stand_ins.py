"""Stand-ins for data sets: a ring of cameras round a known point, and photos of one colour."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sparse3d.bench.scene import BenchScene
from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix, project

POINT = torch.tensor([0.2, -0.1, 0.4], dtype=torch.float64)
"""A point of the world that every camera of the ring sees."""


def ring(count: int, size: tuple[int, int]) -> Cameras:
    """Cameras 4 units from the world's origin, turned about it, with an off-centre principal point."""
    generator = torch.Generator().manual_seed(0)
    turn = torch.zeros(count, 6, dtype=torch.float64)
    turn[:, 3:] = 0.6 * torch.randn(count, 3, dtype=torch.float64, generator=generator)
    away = torch.eye(4, dtype=torch.float64)
    away[2, 3] = 4.0
    K = intrinsics_matrix(1.1 * size[0], 1.1 * size[0], size[0] / 2 + 3.25, size[1] / 2 - 1.5).repeat(count, 1, 1)
    return Cameras.build(away @ se3.se3_exp(turn), K, [size] * count)


def write_photos(folder: Path, names: Sequence[str], size: tuple[int, int], *, mode: str = "RGB") -> None:
    """Photos of one colour."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new(mode, size, color=tuple([90, 120, 30, 128][: len(mode)]) if mode != "L" else 255).save(folder / name)


def pixels_of_point(cameras: Cameras) -> np.ndarray:
    """Where every camera sees the known point, (view 2)."""
    return project(cameras, POINT.expand(len(cameras), 1, 3))[0][:, 0].numpy()


def check_cameras(scene: BenchScene, expected_pixels: np.ndarray, size: tuple[int, int]) -> None:
    """The scene's cameras see the point at these pixels, have this size, and belong to the photos by name and order."""
    assert scene.cameras.sizes == (size,) * len(scene.photos)
    assert scene.cameras.names == tuple(scene.photos)
    assert all(path.is_file() for path in scene.photos.values())
    assert all(scene.cameras.pose_known)
    assert all(scene.cameras.intrinsics_known)
    np.testing.assert_allclose(pixels_of_point(scene.cameras), expected_pixels, rtol=0, atol=2e-3)
    for split in scene.splits.values():
        assert not set(split.train) & set(split.test)
        assert set(split.train) | set(split.test) <= set(scene.photos)
