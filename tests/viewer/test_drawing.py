"""Pictures and picking from a visitor's eye, in the frame that the page draws in."""

import numpy as np
import pytest
import torch

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer.drawing import draw, pick
from sparse3d_viewer.eye import Eye
from sparse3d_viewer.frame import frame_beside
from sparse3d_viewer.scene import build_scene


def test_runs_with_one_common_photo_are_not_aligned():
    first = make_reconstruction()
    other = first.cameras.replace(names=("a.jpg", "x.jpg", "y.jpg"))
    assert frame_beside(build_scene(first).frame, first.cameras, other) is None


def test_what_is_picked_lies_on_the_gaussian_under_the_ray():
    reconstruction = make_reconstruction(scale=30.0, offset=7.0, count=1)
    gaussians = reconstruction.gaussians
    gaussians = gaussians.replace(logit_opacities=torch.full((1,), 5.0, dtype=torch.float64))
    scene = build_scene(reconstruction)
    centre = scene.centres[0].astype(float)
    eye = Eye(np.zeros(3), np.array([1.0, 0, 0, 0]), 0.8, (640, 480))
    eye = Eye(centre - [0.3, 0.2, 4.0], eye.wxyz, eye.fov_y_rad, eye.size)
    drawn = gaussians.activate()
    point = pick(drawn, scene.frame, eye, centre - eye.position)
    assert point is not None and np.linalg.norm(point - centre) < 1e-3
    assert pick(drawn, scene.frame, eye, np.array([1.0, 0, 0])) is None


@pytest.mark.parametrize("layer", ["Rendered colour", "Depth", "Normals"])
def test_a_picture_has_the_window_shape_and_the_background_where_nothing_is(layer):
    reconstruction = make_reconstruction()
    scene = build_scene(reconstruction)
    view = scene.viewpoints[0]
    picture = draw(
        reconstruction, Eye(view.position, view.wxyz, view.fov_y_rad, (64, 48)), scene.frame, layer, (9, 8, 7)
    )
    assert picture.shape == (48, 64, 3) and tuple(picture[0, 0]) == (9, 8, 7)
    assert (picture[16:32, 24:40] != [9, 8, 7]).any()
    away = Eye(view.position, view.wxyz * [0, 1, 0, 0] + [0, 0, 1, 0], view.fov_y_rad, (64, 48))
    assert (draw(reconstruction, away, scene.frame, layer, (9, 8, 7)) == [9, 8, 7]).all()
