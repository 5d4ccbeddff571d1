"""The scene that is sent to the browser: right geometry at any size of the world, and nothing that breaks the page."""

import dataclasses

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix, project
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.io.gaussian_layers import write_gaussian_layer
from sparse3d.io.image_files import write_jpeg
from sparse3d.io.json_files import write_json
from sparse3d.io.run_folder import RunFolder, write_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer.frame import TYPICAL_DISTANCE
from sparse3d_viewer.run import load_run
from sparse3d_viewer.scene import MAX_DISPLAY_SIGMA, build_scene
from sparse3d_viewer.text import overview, warnings_list


def make_reconstruction(scale: float = 1.0, offset: float = 0.0, count: int = 200) -> Reconstruction:
    """A cloud of Gaussians seen by three cameras that differ in pose and shape."""
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(count, 3, generator=generator, dtype=torch.float64) * 0.4 + torch.tensor([0.0, 0.0, 4.0])
    tangents = torch.tensor([[0.0, 0, 0, 0, 0, 0], [0.3, 0.1, 0, 0.05, -0.1, 0.02], [-0.4, 0, 0.1, 0, 0.1, 0]])
    cam_from_world = se3.se3_exp(tangents.double())
    centres = scale * se3.invert(cam_from_world)[:, :3, 3] + offset
    rotation = cam_from_world[:, :3, :3]
    cam_from_world = se3.compose(rotation, -(rotation @ centres[..., None])[..., 0])
    gaussians = GaussianParams(
        means=scale * means + offset,
        quats_wxyz=torch.randn(count, 4, generator=generator, dtype=torch.float64),
        log_scales=torch.full((count, 3), 0.02 * scale, dtype=torch.float64).log(),
        logit_opacities=torch.zeros(count, dtype=torch.float64),
        sh=torch.zeros(count, 4, 3, dtype=torch.float64),
        confidence=torch.ones(count, dtype=torch.float64),
        observations=torch.ones(count, dtype=torch.int64),
    )
    intrinsics = torch.stack([intrinsics_matrix(500.0, 500.0, 320.0, 240.0)] * 3)
    cameras = Cameras.build(cam_from_world, intrinsics, [(640, 480)] * 3, names=["a.jpg", "b/c.jpg", "d.jpg"])
    return Reconstruction(cameras, gaussians, Provenance(prior="made up", settings={}, seed=0, versions={}))


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1000.0, 0.0), (1e-3, 0.0), (1.0, 5e5)])
def test_display_shows_the_same_picture_at_any_size_of_the_world(scale, offset):
    reconstruction = make_reconstruction(scale, offset)
    scene = build_scene(reconstruction)
    assert [v.name for v in scene.viewpoints] == list(reconstruction.cameras.names)
    expected, _ = project(reconstruction.cameras, reconstruction.gaussians.means.expand(3, -1, 3))
    for view, viewpoint in enumerate(scene.viewpoints):
        assert viewpoint.distance == pytest.approx(TYPICAL_DISTANCE, rel=0.3)
        points_cam = (scene.centres - viewpoint.position) @ viewpoint.rotation
        focal = 240 / np.tan(viewpoint.fov_y_rad / 2)
        pixels = focal * points_cam[:, :2] / points_cam[:, 2:] + [320, 240]
        assert np.abs(pixels - expected[view].numpy()).max() < 0.05
    sigma = np.sqrt(np.linalg.eigvalsh(scene.covariances.astype(float)))
    assert np.allclose(sigma, 0.02 * scale * scene.frame.scale, rtol=1e-3)


def test_splats_are_as_wide_as_trainings_pixels_made_them():
    reconstruction = make_reconstruction()
    trained = reconstruction.replace(provenance=dataclasses.replace(reconstruction.provenance, train_px=(50.0,) * 3))
    plain, widened = build_scene(reconstruction), build_scene(trained)
    added = (widened.covariances - plain.covariances).astype(float)
    blur = np.sqrt(np.trace(added, axis1=1, axis2=2) / 3) / plain.frame.scale
    assert np.allclose(added, added[:, :1, :1] * np.eye(3), atol=1e-4 * added.max()), "alike in all directions"
    # 0.3 square pixels of a picture with a focal length of 50 pixels, about 4 units away.
    assert np.median(blur) == pytest.approx(0.3**0.5 * 4 / 50, rel=0.15)


def test_numbers_that_are_not_finite_and_giants_do_not_reach_the_browser():
    reconstruction = make_reconstruction()
    gaussians = reconstruction.gaussians
    means, log_scales = gaussians.means.clone(), gaussians.log_scales.clone()
    means[3, 1] = torch.nan
    log_scales[5] = 1000.0
    log_scales[7] = 20.0
    scene = build_scene(reconstruction.replace(gaussians=gaussians.replace(means=means, log_scales=log_scales)))
    assert scene.dropped == 2 and len(scene.centres) == 198
    assert np.isfinite(scene.covariances.astype(np.float16)).all()
    assert scene.covariances.max() <= 1.001 * MAX_DISPLAY_SIGMA**2
    assert "2 Gaussians" in overview(scene)


def test_cameras_without_a_pose_are_left_out():
    reconstruction = make_reconstruction()
    cam_from_world = reconstruction.cameras.cam_from_world.clone()
    cam_from_world[0] = torch.nan
    scene = build_scene(reconstruction.replace(cameras=reconstruction.cameras.replace(cam_from_world=cam_from_world)))
    assert [v.name for v in scene.viewpoints] == ["b/c.jpg", "d.jpg"]


def test_a_reconstruction_without_gaussians_or_cameras_is_shown_empty():
    reconstruction = make_reconstruction()
    nothing = torch.zeros(0, dtype=torch.int64)
    empty = reconstruction.replace(
        gaussians=reconstruction.gaussians.select(nothing), cameras=reconstruction.cameras.select([])
    )
    scene = build_scene(empty)
    assert len(scene.centres) == 0 and not scene.viewpoints
    assert np.allclose(scene.up, [0, -1, 0])


def test_window_shows_the_whole_photo_whatever_its_shape():
    viewpoint = build_scene(make_reconstruction()).viewpoints[0]
    assert viewpoint.fov_y_for(3.0) == pytest.approx(viewpoint.fov_y_rad)
    narrow = viewpoint.fov_y_for(0.5)
    assert np.tan(narrow / 2) * 0.5 == pytest.approx(np.tan(viewpoint.fov_y_rad / 2) * viewpoint.aspect)


def test_run_folder_becomes_thumbnails_points_and_metrics(tmp_path):
    reconstruction = make_reconstruction()
    run = RunFolder.create(tmp_path / "myrun")
    colours = torch.tensor([[1.0, 0.5, 0.0]] * 4, dtype=torch.float64)
    points = SparsePoints(
        points=torch.tensor([[0.0, 0, 4], [0.1, 0, 4], [0, 0.1, 4], [0.1, 0.1, 4]], dtype=torch.float64),
        colours=colours,
        errors_px=torch.ones(4, dtype=torch.float64),
        track_views=torch.tensor([0, 1] * 4),
        track_points=torch.arange(4).repeat_interleave(2),
        track_pixels=torch.full((8, 2), 100.0, dtype=torch.float64),
    )
    write_reconstruction(run, reconstruction, points)
    write_jpeg(run.photo("a.jpg"), np.full((480, 640, 3), 128, np.uint8))
    write_json(run.metrics, {"psnr": 30.5, "ssim": None, "views": {"a.jpg": {"psnr": 30.5}}})
    write_json(run.evaluation, {"held_out": {"aligned": {"psnr": 21.25}, "refined": None}, "poses": None})
    write_gaussian_layer(run.layers, "uncertainty", np.linspace(0, 1, 200))
    loaded = load_run(run.root)
    assert loaded.title == "myrun" and list(loaded.layers) == ["Uncertainty"], "as the other layers' names begin"
    assert loaded.thumbnails["a.jpg"].shape == (240, 320, 3) and set(loaded.thumbnails) == {"a.jpg"}
    assert loaded.metrics == {"held-out PSNR (dB)": 21.25, "PSNR of the photos used (dB)": 30.5}
    assert loaded.points is not None
    scene = build_scene(loaded.reconstruction, loaded.points)
    assert not scene.points_are_centres and len(scene.points.positions) == 4
    assert np.abs(scene.points.colours.astype(int) - [255, 128, 0]).max() <= 1


def test_text_is_escaped_and_without_folders():
    html = warnings_list(
        ("<img src=x> in /home/me/secret/a.jpg", "3/4 of it"), (("C:\\Users\\me\\b.jpg", "no & never"),)
    )
    assert "<img" not in html and "secret" not in html and "Users" not in html
    assert "a.jpg" in html and "b.jpg" in html and "3/4 of it" in html and "no &amp; never" in html
