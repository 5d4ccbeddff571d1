"""Pictures and picking from a visitor's eye, in the frame that the page draws in."""

import numpy as np
import pytest
import torch

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer.beside import Look, columns, draw_beside, shortened
from sparse3d_viewer.drawing import PICTURES, common_range, draw, measure_depth, measure_figures, pick
from sparse3d_viewer.eye import Eye, camera_of
from sparse3d_viewer.frame import frame_beside
from sparse3d_viewer.scene import build_scene
from sparse3d_viewer.subject import Subject


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


def subject_and_eye(scale: float = 1.0) -> tuple[Subject, Eye]:
    """A cloud of Gaussians as its first photo sees it."""
    reconstruction = make_reconstruction(scale)
    scene = build_scene(reconstruction)
    view = scene.viewpoints[0]
    subject = Subject(reconstruction, reconstruction.gaussians.activate(), scene.frame)
    return subject, Eye(view.position, view.wxyz, view.fov_y_rad, (64, 48))


@pytest.mark.parametrize("layer", PICTURES)
def test_a_picture_has_the_window_shape_and_the_background_where_nothing_is(layer):
    subject, eye = subject_and_eye()
    picture = draw(subject, camera_of(eye, subject.frame, eye.size), layer, (9, 8, 7))
    assert picture.shape == (48, 64, 3) and tuple(picture[0, 0]) == (9, 8, 7)
    assert (picture[16:32, 24:40] != [9, 8, 7]).any()
    away = Eye(eye.position, eye.wxyz * [0, 1, 0, 0] + [0, 0, 1, 0], eye.fov_y_rad, (64, 48))
    assert (draw(subject, camera_of(away, subject.frame, away.size), layer, (9, 8, 7)) == [9, 8, 7]).all()


def test_depth_is_in_display_units_whatever_the_worlds_unit():
    depths = []
    for scale in (1.0, 1000.0):
        subject, eye = subject_and_eye(scale)
        depth, alpha = measure_depth(subject, camera_of(eye, subject.frame, eye.size))
        depths.append(depth * (alpha > 0.5))
    assert np.allclose(depths[0], depths[1], rtol=1e-3) and depths[0].max() > 0
    near, far = common_range(depths)
    assert depths[0][depths[0] > 0].min() <= near < far <= depths[0].max() * 1.001
    assert common_range([np.zeros((2, 2), np.float32)]) is None


def test_a_pixel_has_the_mean_figure_of_what_it_shows_and_none_where_that_is_not_known():
    subject, eye = subject_and_eye()
    camera = camera_of(eye, subject.frame, eye.size)
    count = len(subject.gaussians)
    figures, alpha = measure_figures(
        Subject(subject.scene, subject.gaussians, subject.frame, torch.full((count,), 7.0)), camera
    )
    assert np.allclose(figures[alpha > 0.1], 7.0, atol=1e-4)
    known = torch.full((count,), torch.nan)
    figures, alpha = measure_figures(Subject(subject.scene, subject.gaussians, subject.frame, known), camera)
    assert np.isnan(figures[alpha > 0.1]).all()
    known[::2] = 3.0
    figures, alpha = measure_figures(Subject(subject.scene, subject.gaussians, subject.frame, known), camera)
    found = figures[(alpha > 0.1) & np.isfinite(figures)]
    assert 0 < len(found) < (alpha > 0.1).sum() and np.allclose(found, 3.0, atol=1e-4)


def test_the_two_sides_join_without_a_seam():
    subject, eye = subject_and_eye()
    whole = draw(subject, camera_of(eye, subject.frame, eye.size), "Rendered colour", (0, 0, 0))
    cut = camera_of(eye, subject.frame, eye.size)
    parts = [draw(subject, columns(cut, *span), "Rendered colour", (0, 0, 0)) for span in ((0, 25), (25, 64))]
    assert np.abs(np.concatenate(parts, 1).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("moving", [False, True])
def test_each_side_shows_its_own_run_and_its_name(moving):
    subject, eye = subject_and_eye()
    eye = Eye(eye.position, eye.wxyz, eye.fov_y_rad, (640, 480))
    nothing = subject.scene.gaussians.select(torch.zeros(0, dtype=torch.int64))
    empty = Subject(subject.scene.replace(gaussians=nothing), nothing.activate(), subject.frame)
    look = Look("Colour", None, (0, 0, 200))
    left = draw_beside((subject, empty), ("here", "there"), eye, 0.5, look, moving=moving)
    right = draw_beside((empty, subject), ("here", "there"), eye, 0.5, look, moving=moving)
    assert left.shape == right.shape == (480, 640, 3)
    assert (left[60:, 322:] == [0, 0, 200]).all() and (left[60:, :318] != [0, 0, 200]).any()
    assert (right[60:, :318] == [0, 0, 200]).all() and (right[60:, 322:] != [0, 0, 200]).any()
    for corner in (left[8:40, :60], left[8:40, 580:]):
        assert (corner == 255).all(-1).any(), "a name in white"
    alone = draw_beside((subject, empty), ("here", "there"), eye, 0.0, look, moving=moving)
    assert (alone[60:] == [0, 0, 200]).all(), "the line at the left edge leaves the second run alone"


def test_long_names_are_shortened():
    assert shortened("facade", 500.0) == "facade"
    short = shortened("facade-with-a-very-long-name", 60.0)
    assert short.endswith("…") and short.startswith("fa") and len(short) < 12
