"""The whole evaluation on a scene whose answers are known."""

import json
import math

import numpy as np
import PIL.Image
import pytest
import torch
from scipy.ndimage import gaussian_filter

from sparse3d.core import se3
from sparse3d.core.errors import InputError
from sparse3d.eval.config import EvaluateConfig
from sparse3d.eval.evaluate import evaluate
from sparse3d.eval.names import match_names
from sparse3d.eval.refine_pose import RefineConfig, refine_pose
from sparse3d.eval.render_views import render_camera

TURN = se3.so3_exp(torch.tensor([0.4, -0.7, 1.1], dtype=torch.float64))
SHIFT = torch.tensor([2.0, -5.0, 1.0], dtype=torch.float64)
REFINE = RefineConfig(iterations=40, max_side_px=64, learning_rate=4e-3)


@pytest.fixture
def world(scenes, generator):
    """Six true cameras, their photos, and a run made of the views 0, 2 and 4 in another world."""
    truth, gaussians = scenes.ring(6), scenes.cloud(generator)
    full = scenes.reconstruction(gaussians, truth)
    photos = {
        name: (view.rgb.clip(0, 1) * 255).round().astype(np.uint8)
        for name, view in zip(truth.names, render_camera(full, truth, scenes.OPTIONS), strict=True)
    }
    run = scenes.move_world(scenes.reconstruction(gaussians, truth.select([0, 2, 4])), 2.5, TURN, SHIFT)
    truth = truth.replace(names=tuple(f"images/{name}" for name in truth.names))

    def read_image(name):
        return photos[name.rsplit("/", 1)[-1]]

    return truth, run, read_image


def config(scenes, **changes):
    return EvaluateConfig(**{"options": scenes.OPTIONS, "refine": None, "lpips_nets": ("alex",), **changes})


def test_a_perfect_run_scores_perfectly_in_any_world(scenes, world):
    truth, run, read_image = world
    result = evaluate(run, truth, read_image, config(scenes))
    assert result.matched == ("000.jpg", "002.jpg", "004.jpg")
    assert [view.name for view in result.held_out] == ["images/001.jpg", "images/003.jpg", "images/005.jpg"]
    assert max(result.poses.rotation_deg) < 1e-5
    assert result.poses.ate_relative < 1e-7
    assert result.alignment.scale == pytest.approx(2.5)
    assert all(error == pytest.approx(0) for error in result.focal_errors.values())
    assert min(view.aligned.psnr for view in result.held_out) > 50
    assert min(view.score.psnr for view in result.training) > 50
    assert min(view.aligned.ssim for view in result.held_out) > 0.999


def test_agrees_with_an_outside_scorer(scenes, world):
    """PSNR and SSIM of the picture that the render command would write, by other arithmetic."""
    truth, run, read_image = world
    poses = se3.se3_exp(torch.tensor([[0.02, 0.01, 0, 0.004, 0, -0.003]]).double()) @ run.cameras.cam_from_world
    poses[0] = run.cameras.cam_from_world[0]
    run = run.replace(cameras=run.cameras.replace(cam_from_world=poses))
    result = evaluate(run, truth, read_image, config(scenes))

    est = [np.linalg.inv(m) for m in run.cameras.cam_from_world.numpy()]
    true = [np.linalg.inv(m) for m in truth.cam_from_world[[0, 2, 4]].numpy()]
    u, _, vt = np.linalg.svd(sum(e[:3, :3] @ t[:3, :3].T for e, t in zip(est, true, strict=True)))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    ce, ct = np.array([e[:3, 3] for e in est]), np.array([rotation @ t[:3, 3] for t in true])
    a, b = ct - ct.mean(0), ce - ce.mean(0)
    scale = (a * b).sum() / (a**2).sum()
    world_from_cam = np.linalg.inv(truth.cam_from_world[3].numpy())
    moved = np.eye(4)
    moved[:3, :3] = rotation @ world_from_cam[:3, :3]
    moved[:3, 3] = scale * rotation @ world_from_cam[:3, 3] + ce.mean(0) - scale * ct.mean(0)
    camera = truth.select([3]).replace(cam_from_world=torch.from_numpy(np.linalg.inv(moved))[None])
    [view] = render_camera(run, camera, scenes.OPTIONS)
    x = (view.rgb.clip(0, 1) * 255).round().astype("uint8").astype(float) / 255
    y = read_image("003.jpg").astype(float) / 255
    assert result.held_out[1].aligned.psnr == pytest.approx(-10 * np.log10(((x - y) ** 2).mean() + 1e-12), abs=1e-3)

    def blur(z):
        return gaussian_filter(z, (1.5, 1.5, 0), truncate=3.5)

    mx, my = blur(x), blur(y)
    vx, vy, cxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    ssim = ((2 * mx * my + 1e-4) * (2 * cxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))).mean()
    assert result.held_out[1].aligned.ssim == pytest.approx(ssim, abs=1e-5)


def test_what_the_run_was_given_is_not_held_out(scenes, world):
    truth, run, read_image = world
    provenance = scenes.reconstruction(
        run.gaussians, run.cameras, unplaced=(("003.jpg", "too few matches"),)
    ).provenance
    result = evaluate(run.replace(provenance=provenance), truth, read_image, config(scenes, training=False))
    assert [view.name for view in result.held_out] == ["images/001.jpg", "images/005.jpg"]
    assert result.poses.auc[5] == pytest.approx(0.5)  # 3 of the 6 pairs have the unplaced photo
    assert result.training == ()
    everything = evaluate(run, truth.select([0, 2, 4]), read_image, config(scenes))
    assert everything.held_out == ()
    assert everything.held_out_reason.startswith("not measured")


def test_json_has_no_nan_and_says_what_is_missing(scenes, world, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSE3D_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    truth, run, read_image = world
    truth = truth.replace(cam_from_world=truth.cam_from_world.clone())
    truth.cam_from_world[5] = math.nan

    def reader(name):
        if name.endswith("003.jpg"):
            raise FileNotFoundError("no such photo")
        return read_image(name)

    document = evaluate(run, truth, reader, config(scenes, refine=REFINE)).to_json()
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert document["lpips"]["alex"].startswith("not measured")
    views = {view["name"]: view for view in document["held_out"]["views"]}
    assert views["images/001.jpg"]["aligned"]["lpips"]["alex"] is None
    assert views["images/001.jpg"]["refined"]["psnr"] >= views["images/001.jpg"]["aligned"]["psnr"] - 0.5
    assert "no such photo" in views["images/003.jpg"]["reason"]
    assert "true pose" in views["images/005.jpg"]["reason"]
    assert document["held_out"]["aligned"]["views"] == 1
    assert {"alignment", "scoring", "ssim", "refined", "held_out"} <= set(document["protocol"])


def test_without_enough_common_views_there_is_a_reason(scenes, world):
    truth, run, read_image = world
    for true in (truth.select([0, 1]), truth.select([1, 3]), truth.select([])):
        result = evaluate(run, true, lambda name: read_image(name), config(scenes))
        assert result.poses is None
        assert result.held_out == ()
        assert "need at least 2" in result.poses_reason
        assert len(result.training) == 3
        json.dumps(result.to_json(), allow_nan=False)
    one_place = run.cameras.cam_from_world.clone()
    one_place[:, :3, 3] = (one_place[:, :3, :3] @ -SHIFT[:, None])[..., 0]
    collapsed = run.replace(cameras=run.cameras.replace(cam_from_world=one_place))
    result = evaluate(collapsed, truth, read_image, config(scenes))
    assert result.poses is None
    assert result.poses_reason.startswith("not measured")


def test_a_photo_of_another_shape_is_an_error(scenes, world):
    truth, run, read_image = world
    with pytest.raises(InputError, match=r"images/001\.jpg"):
        evaluate(run, truth, lambda name: read_image(name)[:40] if "001" in name else read_image(name), config(scenes))


def test_scaled_photos_are_scored_at_their_own_size(scenes, world):
    truth, run, read_image = world

    def half(name):
        return np.asarray(PIL.Image.fromarray(read_image(name)).resize((32, 24), PIL.Image.Resampling.BOX))

    result = evaluate(run, truth, half, config(scenes, max_held_out=2))
    assert [view.name for view in result.held_out] == ["images/001.jpg", "images/005.jpg"]
    assert min(view.aligned.psnr for view in result.held_out) > 20


def test_refinement_recovers_a_perturbed_pose(scenes, world):
    _, run, read_image = world
    camera = run.cameras.select([1])
    off = se3.se3_exp(torch.tensor([[0.1, -0.08, 0.05, 0.01, 0.02, -0.015]]).double())
    off[:, :3, 3] *= 2.5
    start = camera.replace(cam_from_world=off @ camera.cam_from_world)
    photo = read_image("002.jpg").astype(np.float64) / 255
    refined = refine_pose(
        run, start, photo, RefineConfig(iterations=80, max_side_px=64, learning_rate=4e-3), options=scenes.OPTIONS
    )
    left = refined.camera.cam_from_world @ se3.invert(camera.cam_from_world)
    assert float(se3.rotation_angle_deg(left[:, :3, :3])) < 0.25 * float(se3.rotation_angle_deg(off[:, :3, :3]))
    assert float(left[0, :3, 3].norm()) < 0.25 * float(off[0, :3, 3].norm())
    assert refined.loss_after < 0.3 * refined.loss_before
    assert refined.rotation_deg > 0
    assert refined.translation > 0


def test_refinement_with_distortion_and_with_nothing_in_sight(scenes, generator):
    cameras = scenes.ring(3, distortion=(-0.2, 0.03, 0.002, 0.0))
    run = scenes.reconstruction(scenes.cloud(generator), cameras)
    camera = cameras.select([1])
    [view] = render_camera(run, camera, scenes.OPTIONS)
    photo = view.rgb.astype(np.float64)
    off = se3.se3_exp(torch.tensor([[0.06, -0.05, 0.0, 0.01, 0.012, 0.0]]).double())
    start = camera.replace(cam_from_world=off @ camera.cam_from_world)
    refined = refine_pose(run, start, photo, REFINE, options=scenes.OPTIONS)
    assert refined.loss_after < 0.5 * refined.loss_before
    away = se3.so3_exp(torch.tensor([[0.0, math.pi, 0.0]]).double())
    turned = camera.replace(cam_from_world=se3.compose(away, torch.zeros(1, 3).double()) @ camera.cam_from_world)
    blind = refine_pose(run, turned, photo, RefineConfig(iterations=4, max_side_px=32), options=scenes.OPTIONS)
    assert torch.equal(blind.camera.cam_from_world, turned.cam_from_world)


def test_names():
    assert match_names(["a.jpg", "b.jpg"], ["images/a.jpg", "b.png", "c.png"]) == {
        "a.jpg": "images/a.jpg",
        "b.jpg": "b.png",
    }
    assert match_names(["x.jpg"], ["y.jpg"]) == {}
    with pytest.raises(InputError, match="could be any of"):
        match_names(["a.jpg"], ["left/a.jpg", "right/a.jpg"])
    assert match_names(["left/a.jpg"], ["left/a.jpg", "right/a.jpg"]) == {"left/a.jpg": "left/a.jpg"}
    with pytest.raises(InputError, match="could be the photo"):
        match_names(["a.jpg", "a.png"], ["a.tif"])
