"""Masks, true depth and a true surface in the evaluation, on a scene whose answers are known."""

import json

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.errors import InputError
from sparse3d.eval.config import EvaluateConfig, FurtherTruth
from sparse3d.eval.coverage import render_depth
from sparse3d.eval.evaluate import evaluate
from sparse3d.eval.geometry_metrics import thin
from sparse3d.eval.render_views import render_camera

TURN = se3.so3_exp(torch.tensor([0.4, -0.7, 1.1], dtype=torch.float64))
SHIFT = torch.tensor([2.0, -5.0, 1.0], dtype=torch.float64)


@pytest.fixture
def world(scenes, generator):
    """Four true cameras, photos with a wrong left third, and a run of the views 0 and 2 in another world."""
    truth, gaussians = scenes.ring(4), scenes.cloud(generator)
    full = scenes.reconstruction(gaussians, truth)
    photos, depths = {}, {}
    for i, name in enumerate(truth.names):
        [view] = render_camera(full, truth.select([i]), scenes.OPTIONS)
        photos[name] = (view.rgb.clip(0, 1) * 255).round().astype(np.uint8)
        photos[name][:, :20] = 255 - photos[name][:, :20]
        depths[name] = render_depth(full, truth.select([i]), scenes.OPTIONS).depth
    run = scenes.move_world(scenes.reconstruction(gaussians, truth.select([0, 2])), 2.5, TURN, SHIFT)
    return truth, run, photos, depths


def measured(scenes, world, **further):
    truth, run, photos, _ = world
    config = EvaluateConfig(refine=None, lpips_nets=("alex",), options=scenes.OPTIONS)
    return evaluate(run, truth, photos.__getitem__, config, further=FurtherTruth(**further))


def test_the_object_alone_is_scored_where_the_mask_is(scenes, world):
    right = np.zeros((48, 64), bool)
    right[:, 20:] = True
    result = measured(scenes, world, read_mask=lambda name: right if name == "001.jpg" else None)
    first, second = (view.aligned for view in result.held_out)
    assert first.masked.share == pytest.approx(44 / 64)
    assert first.masked.psnr > 50 > 20 > first.psnr
    assert first.masked.ssim > 0.999 > first.ssim
    assert first.masked.ssim_whole > 0.999
    assert second.masked is None
    document = result.to_json()
    assert document["held_out"]["aligned"]["masked"]["views"] == 1
    assert document["held_out"]["refined"] is None
    assert "RegNeRF" in document["protocol"]["masked"]
    json.dumps(document, allow_nan=False)
    wrong = measured(scenes, world, read_mask=lambda name: ~right)
    assert wrong.held_out[0].aligned.masked.psnr < first.psnr
    assert wrong.held_out[0].aligned.masked.ssim < wrong.held_out[0].aligned.masked.ssim_whole
    empty = measured(scenes, world, read_mask=lambda name: np.zeros((48, 64), bool))
    assert empty.held_out[0].aligned.masked is None
    with pytest.raises(InputError, match=r"001\.jpg: its mask has 64x40"):
        measured(scenes, world, read_mask=lambda name: right[:40] if name == "001.jpg" else None)


def test_what_was_covered_is_scored_apart(scenes, world):
    result = measured(scenes, world)
    for view in result.held_out:
        assert 0.3 < view.aligned.covered.share <= 1
    assert result.training[0].score.covered is None
    assert "training view" in result.to_json()["protocol"]["covered"]


def test_true_depth_in_another_unit_and_at_half_the_size(scenes, world):
    *_, depths = world
    result = measured(scenes, world, read_depth=depths.get)
    for view in (*result.held_out, *result.training):
        assert view.depth.unaligned.abs_rel < 1e-3
        assert view.depth.aligned.scale == pytest.approx(1 / 2.5, rel=1e-3)
        assert view.depth.unaligned.delta[0] > 0.999
    wrong = measured(scenes, world, read_depth=lambda name: 3 * depths[name])
    assert wrong.held_out[0].depth.unaligned.abs_rel == pytest.approx(2 / 3, abs=1e-3)
    assert wrong.held_out[0].depth.aligned.abs_rel < 1e-3
    half = measured(scenes, world, read_depth=lambda name: depths[name][::2, ::2] if name == "001.jpg" else None)
    assert half.held_out[0].depth.aligned.delta[0] > 0.8
    assert half.held_out[1].depth is None
    document = half.to_json()
    assert document["depth"]["held_out"]["views"] == 1
    assert document["depth"]["training"] is None
    nothing = measured(scenes, world, read_depth=lambda name: np.zeros((48, 64)))
    assert nothing.held_out[0].depth is None


def test_a_true_surface_in_the_true_world(scenes, world):
    run = world[1]
    back = (run.gaussians.means.double() - SHIFT) @ TURN / 2.5
    result = measured(scenes, world, surface=back.numpy())
    assert result.surface.accuracy == pytest.approx(0, abs=1e-3)
    assert result.surface.f_score == (1, 1, 1)
    assert result.surface_reason is None
    shifted = measured(scenes, world, surface=back.numpy() + np.array([0.0, 0.3, 0.0]))
    assert 0.05 < shifted.surface.accuracy < 0.31
    assert shifted.surface.f_score[0] < 0.5
    away = measured(scenes, world, surface=back.numpy() + 1000.0)
    assert away.surface is None
    assert "see nothing of the true surface" in away.surface_reason
    assert "no true surface" in measured(scenes, world).surface_reason


def test_a_grid_too_fine_is_refused():
    with pytest.raises(ValueError, match="too fine"):
        thin(np.array([[0.0, 0, 0], [1e6, 1e6, 1e6]]), 1e-3)
