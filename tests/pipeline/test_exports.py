"""What a run leaves opens elsewhere and means the same: the PLY renders the same pixels, COLMAP projects the same."""

import numpy as np
import pycolmap
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix, project
from sparse3d.core.distortion import distort_points
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.eval.render_views import render_camera
from sparse3d.io.run_folder import RunFolder, read_reconstruction, write_reconstruction
from sparse3d.pipeline.outputs import with_errors
from sparse3d.render.rasterise import RenderOptions

SIZE = (96, 72)
POINTS = 40


def make_cameras() -> Cameras:
    """Three views of the origin, two of them through one distorting lens."""
    angles = torch.linspace(-0.3, 0.3, 3, dtype=torch.float64)
    rotation = se3.so3_exp(torch.stack([0.1 * angles, angles, 0.2 * angles], 1))
    translation = torch.tensor([0.05, -0.1, 4.0], dtype=torch.float64).expand(3, 3)
    K = intrinsics_matrix(101.0, 99.0, 47.0, 37.5).repeat(3, 1, 1)
    distortion = torch.tensor([[-0.12, 0.03, 0.001, -0.002]] * 2 + [[0.0] * 4], dtype=torch.float64)
    return Cameras.build(
        se3.compose(rotation, translation),
        K,
        [SIZE] * 3,
        distortion=distortion,
        names=["a.jpg", "b.jpg", "c.jpg"],
        groups=[0, 0, 1],
    )


def pixels_of(cameras: Cameras, points: torch.Tensor, view: int) -> np.ndarray:
    """Where the lens of a view puts world points."""
    pinhole, _ = project(cameras.select([view]), points[None])
    return distort_points(pinhole[0].numpy(), cameras.K[view].numpy(), cameras.distortion[view].numpy())


def make_points(cameras: Cameras, generator: torch.Generator) -> SparsePoints:
    """Points seen by all views, observed with some noise, and the error that this makes."""
    points = 0.8 * torch.randn(POINTS, 3, generator=generator, dtype=torch.float64)
    noise = 0.3 * torch.randn(3, POINTS, 2, generator=generator, dtype=torch.float64)
    exact = np.stack([pixels_of(cameras, points, view) for view in range(3)])
    views, indices = torch.meshgrid(torch.arange(3), torch.arange(POINTS), indexing="ij")
    return SparsePoints(
        points=points,
        colours=torch.rand(POINTS, 3, generator=generator, dtype=torch.float64),
        errors_px=noise.norm(dim=-1).mean(0),
        track_views=views.reshape(-1),
        track_points=indices.reshape(-1),
        track_pixels=(torch.from_numpy(exact) + noise).reshape(-1, 2),
    )


def make_gaussians(generator: torch.Generator, sh_rest: int = 3, count: int = 400) -> GaussianParams:
    """A coloured cloud as an optimiser leaves it: quaternions of any length, colours that depend on the view."""
    return GaussianParams(
        means=torch.randn(count, 3, generator=generator) * 0.6,
        quats_wxyz=3 * torch.randn(count, 4, generator=generator),
        log_scales=torch.log(0.03 + 0.1 * torch.rand(count, 3, generator=generator)),
        logit_opacities=2 * torch.randn(count, generator=generator),
        sh=torch.cat(
            [
                colour_to_sh0(torch.rand(count, 3, generator=generator)),
                0.2 * torch.randn(count, sh_rest, 3, generator=generator),
            ],
            1,
        ),
        confidence=torch.rand(count, generator=generator),
        observations=torch.randint(0, 4, (count,), generator=generator, dtype=torch.int32),
    )


@pytest.fixture
def exported(generator, tmp_path):
    """A reconstruction, its points, and the folder that it was written to."""
    cameras = make_cameras()
    points = make_points(cameras, generator)
    provenance = Provenance("test", {}, 0, {}, train_px=(100.0,) * 3)
    reconstruction = Reconstruction(cameras, make_gaussians(generator), provenance, ())
    run = RunFolder.create(tmp_path / "run")
    write_reconstruction(run, reconstruction, points)
    return reconstruction, points, run


def test_the_ply_renders_the_same_pixels(exported):
    reconstruction, _, run = exported
    read = read_reconstruction(run.root)
    options = RenderOptions(threads=2)
    for ours, theirs in zip(
        render_camera(reconstruction, reconstruction.cameras, options),
        render_camera(read, reconstruction.cameras, options),
        strict=True,
    ):
        assert ours.alpha.max() > 0.9
        assert np.abs(ours.rgb - theirs.rgb).max() < 1 / 255 / 10
        assert np.abs(ours.alpha - theirs.alpha).max() < 1 / 255 / 10
    torch.testing.assert_close(read.cameras.cam_from_world, reconstruction.cameras.cam_from_world, rtol=0, atol=1e-12)
    torch.testing.assert_close(read.cameras.K, reconstruction.cameras.K, rtol=1e-15, atol=0)


def test_what_was_read_is_written_and_rendered_bit_by_bit(exported, tmp_path):
    _, points, run = exported
    first = read_reconstruction(run.root)
    again = RunFolder.create(tmp_path / "again")
    write_reconstruction(again, first, points)
    assert again.gaussians.read_bytes() == run.gaussians.read_bytes()
    second = read_reconstruction(again.root)
    options = RenderOptions(threads=2)
    for a, b in zip(
        render_camera(first, first.cameras, options), render_camera(second, second.cameras, options), strict=True
    ):
        assert np.array_equal(a.rgb, b.rgb)


def test_colmap_projects_the_same_and_its_tracks_have_the_error_stated(exported):
    reconstruction, points, run = exported
    model = pycolmap.Reconstruction(run.colmap)
    assert model.num_reg_images() == 3 and model.num_points3D() == POINTS
    assert {camera.model_name for camera in model.cameras.values()} == {"OPENCV", "PINHOLE"}
    ids = sorted(model.points3D)
    xyz = torch.from_numpy(np.stack([model.points3D[i].xyz for i in ids]))
    for view, name in enumerate(reconstruction.cameras.names):
        image = model.find_image_with_name(name)
        theirs = np.stack([image.project_point(point) for point in xyz.numpy()])
        np.testing.assert_allclose(theirs, pixels_of(reconstruction.cameras, xyz, view), rtol=0, atol=1e-6)
    for i in ids:
        point = model.points3D[i]
        errors = []
        for element in point.track.elements:
            image = model.images[element.image_id]
            errors.append(np.linalg.norm(image.project_point(point.xyz) - image.points2D[element.point2D_idx].xy))
        assert len(errors) == 3
        assert np.mean(errors) == pytest.approx(point.error, abs=1e-6)
    assert model.compute_mean_reprojection_error() == pytest.approx(float(points.errors_px.mean()), abs=1e-6)


def test_errors_are_those_of_the_refined_cameras(exported, tmp_path):
    reconstruction, points, _ = exported
    moved = reconstruction.cameras.cam_from_world.clone()
    moved[1, :3, 3] += 0.02
    refined = reconstruction.cameras.replace(cam_from_world=moved)
    run = RunFolder.create(tmp_path / "refined")
    write_reconstruction(run, reconstruction.replace(cameras=refined), with_errors(points, refined))
    model = pycolmap.Reconstruction(run.colmap)
    stated = model.compute_mean_reprojection_error()
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() == pytest.approx(stated, abs=1e-6)
    assert stated > float(points.errors_px.mean()) + 0.05
