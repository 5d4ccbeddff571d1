"""What the training views saw, on walls whose edges and shadows can be worked out by hand."""

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.eval import coverage as module
from sparse3d.eval.coverage import SPECK, covered_pixels, render_depth, training_views

SIZE = (80, 60)
FOCAL = 80.0


def wall(z, low, high, step=0.05, confidence=1.0):
    """An opaque square of Gaussians across the viewing direction, from low to high in x, |y| below 2."""
    x, y = torch.meshgrid(torch.arange(low, high, step), torch.arange(-2.0, 2.0, step), indexing="ij")
    count = x.numel()
    return GaussianParams(
        means=torch.stack([x.ravel(), y.ravel(), torch.full((count,), float(z))], 1),
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.log(torch.tensor([step * 0.6, step * 0.6, 1e-3])).repeat(count, 1),
        logit_opacities=torch.full((count,), 4.0),
        sh=colour_to_sh0(torch.full((count, 3), 0.5)),
        confidence=torch.full((count,), confidence),
        observations=torch.full((count,), 2),
    )


def together(*parts):
    return GaussianParams(**{name: torch.cat([getattr(p, name) for p in parts]) for name in vars(parts[0])})


def cameras_at(*xs, turn=0.0, distortion=(0.0, 0.0, 0.0, 0.0)):
    """Cameras on the x axis that look along z, turned about y."""
    rotation = se3.so3_exp(torch.tensor([0.0, turn, 0.0], dtype=torch.float64))
    centres = torch.tensor([[x, 0.0, 0.0] for x in xs], dtype=torch.float64)
    poses = se3.compose(rotation.expand(len(xs), 3, 3), -(centres @ rotation.T))
    K = intrinsics_matrix(FOCAL, FOCAL, SIZE[0] / 2, SIZE[1] / 2).expand(len(xs), 3, 3).clone()
    lens = torch.tensor(distortion, dtype=torch.float64).expand(len(xs), 4).clone()
    return Cameras.build(poses, K, [SIZE] * len(xs), distortion=lens, names=[f"{k}.jpg" for k in range(len(xs))])


def test_depth_and_confidence_are_those_of_the_front(scenes):
    scene = scenes.reconstruction(together(wall(4, -3, 3, confidence=0.3), wall(2, -3, 0)), cameras_at(0))
    depth, confidence = render_depth(scene, cameras_at(0), scenes.OPTIONS)
    np.testing.assert_allclose(depth[10:-10, 5:35], 2, atol=1e-3)
    np.testing.assert_allclose(depth[10:-10, 45:-5], 4, atol=1e-3)
    assert confidence[10:-10, 5:35].mean() > 0.95
    assert confidence[10:-10, 45:-5].mean() == pytest.approx(0.3, abs=0.02)
    empty = render_depth(scene, cameras_at(0, turn=np.pi), scenes.OPTIONS)
    assert (empty.depth == 0).all() and (empty.confidence == 0).all()


def covered(scenes, gaussians, trained, held_out):
    scene = scenes.reconstruction(gaussians, trained)
    return covered_pixels(scene, held_out, training_views(scene, scenes.OPTIONS), scenes.OPTIONS)


def test_what_lies_beyond_the_edge_of_all_training_photos_is_not_covered(scenes):
    seen = covered(scenes, wall(4, -6, 6), cameras_at(-0.5, 0), cameras_at(1))
    # A unit at depth 4 is 20 pixels: the last 20 columns are past the right edge of the view at 0.
    assert seen[:, :59].all()
    assert not seen[:, 61:].any()
    assert covered(scenes, wall(4, -6, 6), cameras_at(0, 2), cameras_at(1)).all()


def test_what_was_hidden_is_not_covered(scenes):
    both = together(wall(4, -6, 6), wall(2, -0.5, 0.5))
    seen = covered(scenes, both, cameras_at(0), cameras_at(1))
    # From 0 the front wall hides x in [-1, 1] of the back wall: columns 0 to 40 of the view at 1, whose own front wall covers
    # columns 0 to 20, which was seen.
    assert seen[5:-5, :18].all()
    assert not seen[5:-5, 24:37].any()
    assert seen[5:-5, 44:58].all()


def test_where_nothing_is_rendered_the_same_direction_must_have_been_free(scenes):
    front = wall(2, -0.5, 0.5)
    seen = covered(scenes, front, cameras_at(0), cameras_at(0.75))
    # Points at infinity keep their column: 20 to 60 are behind the wall for the training view, 0 to 10 show its left part.
    assert seen[5:-5, 62:].all()
    assert not seen[5:-5, 32:58].any()
    nothing = covered(scenes, wall(-4, -1, 1), cameras_at(0), cameras_at(0))
    assert nothing.all()
    assert not covered(scenes, wall(-4, -1, 1), cameras_at(0), cameras_at(0, turn=np.pi / 2)).any()


def test_specks_count_as_covered(scenes, monkeypatch):
    speck = wall(1, 0.1, 0.18, step=0.02)
    scene = together(wall(4, -6, 6), speck.select(speck.means[:, 1].abs() < 0.04))
    assert covered(scenes, scene, cameras_at(0), cameras_at(0.05))[:, :78].all()
    monkeypatch.setattr(module, "SPECK", 0.0)
    hidden = ~covered(scenes, scene, cameras_at(0), cameras_at(0.05))[:, :78]
    assert 4 < hidden.sum() < SPECK * 80 * 60


def test_through_a_distorting_lens(scenes):
    lens = (-0.15, 0.02, 0.0, 0.0)
    same = covered(scenes, wall(4, -6, 6), cameras_at(0, distortion=lens), cameras_at(0, distortion=lens))
    assert same.mean() > 0.98
    # The barrel shows more than the pinhole of the same focal length: its border was not seen by one.
    wider = covered(scenes, wall(4, -6, 6), cameras_at(0), cameras_at(0, distortion=lens))
    assert wider[20:40, 10:70].all()
    assert not wider[0, 0] and not wider[-1, -1]


def test_what_a_lens_does_not_show_is_not_covered(scenes):
    lens = (-0.15, 0.02, 0.0, 0.0)
    wide = cameras_at(0)
    wide = wide.replace(K=wide.K * wide.K.new_tensor([[0.5, 1, 1], [1, 0.5, 1], [1, 1, 1]]))
    seen = covered(scenes, wall(3.9, -8, 8), cameras_at(0, distortion=lens), wide)
    y, x = np.mgrid[0:60, 0:80] + 0.5
    x, y = (x - 40) / 40, (y - 30) / 40
    radial = 1 - 0.15 * (x**2 + y**2) + 0.02 * (x**2 + y**2) ** 2
    off = np.maximum(np.abs(x * radial) * FOCAL - 40, np.abs(y * radial) * FOCAL - 30)
    assert seen[off < -2].all()
    assert not seen[off > 2].any()
