"""Paths of a camera from photo to photo."""

import math

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.camera_path import path_through
from sparse3d.core.cameras import Cameras, intrinsics_matrix, project


def row_of_cameras(xs: list[float]) -> Cameras:
    """Cameras side by side at these places, each turned by a tenth of its place."""
    x = torch.tensor(xs, dtype=torch.float64)
    turns = se3.so3_exp(torch.stack([0 * x, 0.1 * x, 0 * x], 1))
    world_from_cam = se3.compose(turns, torch.stack([x, 0 * x, 0 * x], 1))
    K = intrinsics_matrix(200.0, 210.0, 160.0, 120.0).repeat(len(xs), 1, 1)
    return Cameras.build(se3.invert(world_from_cam), K, [(320, 240)] * len(xs))


def test_the_path_goes_from_photo_to_nearest_photo_whatever_their_order():
    moved = path_through(row_of_cameras([2.0, 0.0, 3.0, 1.0]), 31, 128)
    assert moved.sizes == ((128, 96),) * 31
    x = moved.centres[:, 0].numpy()
    assert sorted((x[0], x[-1])) == pytest.approx([0.0, 3.0])
    assert (np.diff(x) * np.sign(x[-1] - x[0]) >= 0).all()
    assert moved.centres[10, 0] == pytest.approx(1.0 if x[0] == 0 else 2.0)
    turned = se3.rotation_angle_deg(moved.world_from_cam[:, :3, :3])
    assert torch.allclose(turned, torch.rad2deg(0.1 * moved.centres[:, 0]), atol=0.05)


def test_a_picture_on_the_path_shows_what_the_photo_shows_from_top_to_bottom():
    moved = path_through(row_of_cameras([0.0, 1.0]), 2, 160)
    assert float(moved.K[0, 1, 1]) == pytest.approx(105.0) and moved.K[0, 1, 2] == 60


def test_around_an_object_the_path_keeps_it_in_view():
    # Four units from the origin at -70, 0 and 70 degrees, the last one upside down.
    turns = se3.so3_exp(torch.tensor([[0.0, math.radians(a), 0.0] for a in (-70, 0, 70)], dtype=torch.float64))
    rolls = se3.so3_exp(torch.tensor([[0.0, 0.0, a] for a in (0, 0, math.pi)], dtype=torch.float64))
    rotations = turns @ rolls
    centres = -4 * rotations[:, :, 2]
    K = intrinsics_matrix(200.0, 200.0, 160.0, 120.0).repeat(3, 1, 1)
    photos = Cameras.build(se3.invert(se3.compose(rotations, centres)), K, [(320, 240)] * 3)
    moved = path_through(photos, 41, 160)
    assert torch.allclose(moved.centres.norm(dim=1), torch.tensor(4.0, dtype=torch.float64), atol=1e-6)
    pixels, depth = project(moved.to(torch.float64), torch.zeros(41, 1, 3, dtype=torch.float64))
    assert (depth > 0).all()
    assert torch.allclose(pixels[:, 0], torch.tensor([80.0, 60.0], dtype=torch.float64), atol=1e-3)


def test_one_photo_makes_no_path():
    with pytest.raises(ValueError, match="at least 2 key frames, got 1"):
        path_through(row_of_cameras([0.0]), 5, 64)
