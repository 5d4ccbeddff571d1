"""Rendering at any camera: distortion, sizes, and the splats' filter across resolutions."""

import cv2
import numpy as np
import pytest
import torch

from sparse3d.eval.render_views import options_for, render_camera
from sparse3d.render.rasterise import rasterise


def test_a_pinhole_is_the_rasterisers_own_picture(scenes, generator):
    run = scenes.reconstruction(scenes.cloud(generator), scenes.ring(3))
    views = render_camera(run, run.cameras, scenes.OPTIONS)
    direct = rasterise(run.gaussians.activate(), run.cameras.to(torch.float32), options=scenes.OPTIONS)
    for name in ("rgb", "alpha", "depth"):
        np.testing.assert_allclose(np.stack([getattr(view, name) for view in views]), getattr(direct, name), atol=1e-6)
    bare = render_camera(run.gaussians.activate(), run.cameras.select([1]), scenes.OPTIONS)
    np.testing.assert_allclose(bare[0].rgb, views[1].rgb, atol=1e-6)


@pytest.mark.parametrize("distortion", [(-0.25, 0.05, 0.0, 0.0), (0.15, 0.0, 0.01, -0.005)])
def test_distortion_puts_points_where_opencv_does(scenes, generator, distortion):
    """A single small Gaussian appears at the pixel that OpenCV projects its centre to."""
    cameras = scenes.ring(2, size=(160, 120), distortion=distortion).select([0])
    one = scenes.cloud(generator, 1)
    for mean in ([1.2, -0.8, 0.3], [-1.4, 0.9, 0.1], [0.05, 0.0, 0.0]):
        gaussians = one.replace(means=torch.tensor([mean]), log_scales=torch.full((1, 3), -3.5)).activate()
        [view] = render_camera(gaussians, cameras, scenes.OPTIONS)
        assert view.rgb.shape == (120, 160, 3)
        y, x = np.mgrid[:120, :160] + 0.5
        weight = view.rgb.sum(-1).astype(np.float64)
        found = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
        pose, K = cameras.cam_from_world[0].numpy(), cameras.K[0].numpy()
        rvec = cv2.Rodrigues(pose[:3, :3])[0]
        expected = cv2.projectPoints(np.array([mean], np.float64), rvec, pose[:3, 3], K, np.array(distortion))[
            0
        ].ravel()
        np.testing.assert_allclose(found, expected, atol=0.15)  # a Gaussian's mean is bent a little by the lens
        peak = np.unravel_index(int(view.alpha.argmax()), view.alpha.shape)
        np.testing.assert_allclose(np.array(peak[::-1]) + 0.5, expected, atol=1.5)
        z = (pose[:3, :3] @ mean + pose[:3, 3])[2]
        assert float(view.depth.max()) <= z * 1.001


def test_sizes_may_differ(scenes, generator):
    run = scenes.reconstruction(scenes.cloud(generator), scenes.ring(3))
    cameras = run.cameras.resized([(32, 24), (64, 48), (50, 70)])
    shapes = [tuple(view.rgb.shape) for view in render_camera(run, cameras, scenes.OPTIONS)]
    assert shapes == [(24, 32, 3), (48, 64, 3), (70, 50, 3)]


def test_the_filter_keeps_its_width_in_the_scene(scenes, generator):
    """Thin splats that close at the resolution of training leave gaps at fourfold, unless the filter grows with it."""
    thin = scenes.cloud(generator, 200)
    thin = thin.replace(log_scales=torch.full_like(thin.log_scales, -5.0))
    run = scenes.reconstruction(thin, scenes.ring(2))
    large = run.cameras.resized([(256, 192)] * 2).select([0])
    [trained] = render_camera(run, run.cameras.select([0]), scenes.OPTIONS)
    errors = {}
    for mode in ("train", "screen"):
        [view] = render_camera(run, large, scenes.OPTIONS, filter_scale=mode)
        shrunk = view.alpha.reshape(48, 4, 64, 4).mean((1, 3))
        errors[mode] = np.abs(shrunk - trained.alpha).mean()
    assert errors["train"] < 0.25 * errors["screen"]


def test_the_filter_never_shrinks(scenes, generator):
    run = scenes.reconstruction(scenes.cloud(generator), scenes.ring(2))
    camera = run.cameras.select([0])
    assert options_for(run, camera, scenes.OPTIONS).eps2d == pytest.approx(0.3)
    assert options_for(run, camera.resized([(256, 192)]), scenes.OPTIONS).eps2d == pytest.approx(0.3 * 16)
    assert options_for(run, camera.resized([(16, 12)]), scenes.OPTIONS).eps2d == pytest.approx(0.3)
    assert options_for(run.gaussians.activate(), camera.resized([(256, 192)]), scenes.OPTIONS).eps2d == pytest.approx(
        0.3
    )


def test_unknown_cameras_are_refused(scenes, generator):
    run = scenes.reconstruction(scenes.cloud(generator), scenes.ring(2))
    unknown = run.cameras.replace(cam_from_world=torch.full_like(run.cameras.cam_from_world, torch.nan))
    with pytest.raises(ValueError, match=r"000\.jpg"):
        render_camera(run, unknown, scenes.OPTIONS)
