"""Cameras: projection and its inverse, OpenGL axes, scaled images, choosing and joining."""

import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, concatenate, intrinsics_matrix, pixel_grid, project, unproject


@pytest.fixture
def cameras() -> Cameras:
    generator = torch.Generator().manual_seed(1)
    poses = se3.se3_exp(0.2 * torch.randn(3, 6, dtype=torch.float64, generator=generator))
    K = intrinsics_matrix(20.0, 21.0, 8.5, 5.0).expand(3, 3, 3)
    return Cameras.build(
        poses, K, [(16, 12)] * 3, names=["a", "b", "c"], groups=[0, 0, 1], pose_known=[True, False, True]
    )


def test_unproject_then_project_gives_the_pixel_centres(cameras: Cameras) -> None:
    depth = 1 + torch.rand(3, 12, 16, dtype=torch.float64)
    pixels, z = project(cameras, unproject(depth, cameras).reshape(3, -1, 3))
    torch.testing.assert_close(pixels, pixel_grid(16, 12).reshape(1, -1, 2).expand(3, -1, 2))
    torch.testing.assert_close(z, depth.reshape(3, -1))
    assert pixel_grid(16, 12)[0, 0].tolist() == [0.5, 0.5]


def test_unknown_depth_is_nan(cameras: Cameras) -> None:
    depth = torch.zeros(3, 12, 16, dtype=torch.float64)
    assert unproject(depth, cameras).isnan().all()
    with pytest.raises(ValueError, match="does not fit"):
        unproject(depth[:2], cameras)


def test_opengl_cameras_look_along_minus_z() -> None:
    K = intrinsics_matrix(10.0, 10.0, 5.0, 5.0)[None]
    cameras = Cameras.from_opengl(torch.eye(4, dtype=torch.float64)[None], K, [(10, 10)])
    ahead_right_up = torch.tensor([[[1.0, 1.0, -10.0]]], dtype=torch.float64)
    pixels, depth = project(cameras, ahead_right_up)
    assert depth.item() == 10
    assert pixels[0, 0].tolist() == [6, 4]


def test_resized_images_see_the_same(cameras: Cameras) -> None:
    points = torch.randn(3, 5, 3, dtype=torch.float64) + torch.tensor([0, 0, 6.0]).double()
    before, _ = project(cameras, points)
    after, _ = project(cameras.resized([(32, 24)] * 3), points)
    torch.testing.assert_close(after, before * 2)


def test_select_and_concatenate(cameras: Cameras) -> None:
    picked = cameras.select([2, 0])
    assert picked.names == ("c", "a")
    assert picked.pose_known == (True, True)
    joined = concatenate([picked, cameras.replace(names=("d", "e", "f"))])
    assert len(joined) == 5
    assert len(set(joined.groups)) == 4
    torch.testing.assert_close(joined.centres[0], cameras.centres[2])


def test_fields_of_different_lengths_are_refused(cameras: Cameras) -> None:
    with pytest.raises(ValueError, match="entries of names"):
        cameras.replace(names=("a",))
