"""COLMAP models: pycolmap opens what we write and projects as we do; we read what pycolmap writes."""

from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix, project
from sparse3d.core.distortion import distort_points
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.io.colmap import read_colmap, write_colmap


@pytest.fixture
def cameras(generator: torch.Generator) -> Cameras:
    poses = se3.se3_exp(0.2 * torch.randn(4, 6, dtype=torch.float64, generator=generator))
    K = intrinsics_matrix(601.0, 603.0, 321.5, 239.0).repeat(4, 1, 1)
    K[3, 0, 0] = 500.0
    distortion = torch.zeros(4, 4, dtype=torch.float64)
    distortion[:2] = torch.tensor([-0.1, 0.02, 0.001, -0.002])
    return Cameras.build(
        poses,
        K,
        [(640, 480)] * 4,
        distortion=distortion,
        names=["a.jpg", "b.jpg", "c.jpg", "d.jpg"],
        groups=[0, 0, 1, 2],
    )


@pytest.fixture
def points(generator: torch.Generator) -> SparsePoints:
    xyz = torch.rand(20, 3, dtype=torch.float64, generator=generator) + torch.tensor([-0.5, -0.5, 3.0]).double()
    views, indices = torch.meshgrid(torch.arange(4), torch.arange(20), indexing="ij")
    return SparsePoints(
        points=xyz,
        colours=torch.rand(20, 3, dtype=torch.float64, generator=generator),
        errors_px=torch.rand(20, dtype=torch.float64, generator=generator),
        track_views=views.reshape(-1),
        track_points=indices.reshape(-1),
        track_pixels=640 * torch.rand(80, 2, dtype=torch.float64, generator=generator),
    )


@pytest.mark.parametrize("binary", [True, False])
def test_pycolmap_reprojects_the_same(tmp_path: Path, cameras: Cameras, points: SparsePoints, binary: bool) -> None:
    write_colmap(tmp_path / "sparse" / "0", cameras, points, binary=binary)
    model = pycolmap.Reconstruction(tmp_path / "sparse" / "0")
    assert model.num_reg_images() == 4
    assert model.num_cameras() == 3
    assert model.num_points3D() == 20
    for view, name in enumerate(cameras.names):
        image = model.find_image_with_name(name)
        theirs = np.array([image.project_point(p) for p in points.points.numpy()])
        pinhole, _ = project(cameras.select([view]), points.points[None])
        ours = distort_points(pinhole[0].numpy(), cameras.K[view].numpy(), cameras.distortion[view].numpy())
        np.testing.assert_allclose(theirs, ours, atol=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_round_trip(tmp_path: Path, cameras: Cameras, points: SparsePoints, binary: bool) -> None:
    write_colmap(tmp_path, cameras, points, binary=binary)
    write_colmap(tmp_path, cameras, points, binary=binary)
    read, read_points = read_colmap(tmp_path)
    assert read.names == cameras.names
    assert read.sizes == cameras.sizes
    assert read.groups == (0, 0, 1, 2)
    assert all(read.pose_known)
    torch.testing.assert_close(read.cam_from_world, cameras.cam_from_world, rtol=0, atol=1e-9)
    torch.testing.assert_close(read.K, cameras.K, rtol=1e-12, atol=0)
    torch.testing.assert_close(read.distortion, cameras.distortion, rtol=1e-12, atol=0)
    torch.testing.assert_close(read_points.points, points.points, rtol=0, atol=1e-9)
    torch.testing.assert_close(read_points.errors_px, points.errors_px, rtol=0, atol=1e-6)
    assert (read_points.colours - points.colours).abs().max() < 0.003

    def observations(p: SparsePoints) -> set:
        pixels = p.track_pixels.round(decimals=3).tolist()
        return {(v, i, *xy) for v, i, xy in zip(p.track_views.tolist(), p.track_points.tolist(), pixels, strict=True)}

    assert observations(read_points) == observations(points)


def test_views_without_pose_are_left_out(tmp_path: Path, cameras: Cameras, points: SparsePoints) -> None:
    poses = cameras.cam_from_world.clone()
    poses[1] = torch.nan
    write_colmap(tmp_path, cameras.replace(cam_from_world=poses), points)
    read, read_points = read_colmap(tmp_path)
    assert read.names == ("a.jpg", "c.jpg", "d.jpg")
    assert len(read_points.track_views) == 60


def test_simple_radial_is_read(tmp_path: Path) -> None:
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(camera_id=1, model="SIMPLE_RADIAL", width=64, height=48, params=[50.0, 32.0, 24.0, -0.1])
    )
    model.add_image_with_trivial_frame(
        pycolmap.Image(name="x.jpg", camera_id=1, image_id=1), pycolmap.Rigid3d(np.eye(4)[:3])
    )
    model.write_text(tmp_path)
    read, read_points = read_colmap(tmp_path)
    torch.testing.assert_close(read.K[0], intrinsics_matrix(50.0, 50.0, 32.0, 24.0))
    assert read.distortion[0].tolist() == [-0.1, 0, 0, 0]
    assert read_points.points.shape == (0, 3)


def test_unusable_models_are_named(tmp_path: Path, cameras: Cameras, points: SparsePoints) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_colmap(tmp_path / "none")
    with pytest.raises(InputError, match="holds no COLMAP model"):
        read_colmap(tmp_path)
    write_colmap(tmp_path, cameras, points)
    content = (tmp_path / "images.bin").read_bytes()
    (tmp_path / "images.bin").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_colmap(tmp_path)
    fisheye = pycolmap.Reconstruction()
    fisheye.add_camera_with_trivial_rig(
        pycolmap.Camera(camera_id=1, model="OPENCV_FISHEYE", width=64, height=48, params=[50.0, 50, 32, 24, 0, 0, 0, 0])
    )
    fisheye.add_image_with_trivial_frame(
        pycolmap.Image(name="x", camera_id=1, image_id=1), pycolmap.Rigid3d(np.eye(4)[:3])
    )
    (tmp_path / "fisheye").mkdir()
    fisheye.write_binary(tmp_path / "fisheye")
    with pytest.raises(InputError, match=r"OPENCV_FISHEYE.*image_undistorter"):
        read_colmap(tmp_path / "fisheye")
