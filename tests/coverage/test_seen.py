"""Who saw what, and from how far apart."""

import numpy as np
import torch

from sparse3d.coverage.patches import find_patches
from sparse3d.coverage.seen import seen_by


def test_views_are_counted_and_angles_are_those_at_the_wall(walls):
    scene = walls.reconstruction(walls.wall(-4, 4), walls.cameras_at(-1.0, 0.0, 1.0))
    seen = seen_by(scene, scene.cameras, walls.OPTIONS)
    x, y, _ = scene.gaussians.means.T
    middle = (x.abs() < 0.05) & (y.abs() < 0.05)
    assert (seen.count[middle] == 3).all()
    expected = 2 * np.degrees(np.arctan(1 / 4))
    assert torch.allclose(seen.largest_angle_deg()[middle], torch.tensor(expected).float(), atol=1.0)
    beside = (x > 2.1) & (x < 2.9) & (y.abs() < 0.5)  # from x = 1 the picture ends at 3, from 0 at 2
    assert (seen.count[beside] == 1).all() and (seen.largest_angle_deg()[beside] == 0).all()
    assert (seen.count[x > 3.1] == 0).all()


def test_what_stands_behind_is_not_seen(walls):
    both = walls.together(walls.wall(-2, 2, z=4.0), walls.wall(-2, 2, z=6.0))
    scene = walls.reconstruction(both, walls.cameras_at(0.0))
    seen = seen_by(scene, scene.cameras, walls.OPTIONS)
    near = scene.gaussians.means[:, 2] < 5
    inside = scene.gaussians.means[:, :2].abs().amax(1) < 1.2
    assert seen.by[0, near & inside].all() and not seen.by[0, ~near & inside].any()


def test_patches_are_small_and_keep_the_unseen_apart(walls):
    both = walls.together(walls.wall(-2, 2, z=4.0), walls.wall(-2, 2, z=6.0))
    scene = walls.reconstruction(both, walls.cameras_at(0.0))
    seen = seen_by(scene, scene.cameras, walls.OPTIONS)
    patches = find_patches(scene.gaussians.means, scene.cameras, seen)
    known = patches.mean(seen.by[0].float())
    assert ((known == 0) | (known == 1)).all()
    spread = patches.mean((scene.gaussians.means - patches.centres[patches.of]).norm(dim=1))
    pixel = 4.0 / 96
    assert spread[known == 1].max() < 4 * pixel
    assert torch.allclose(patches.total(torch.ones(len(both))).sum(), torch.tensor(float(len(both))))
