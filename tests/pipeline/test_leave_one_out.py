"""A run measured on its own photos, each left out in turn."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparse3d.cli.evaluation_tables import print_evaluation
from sparse3d.core.errors import InputError
from sparse3d.eval.config import EvaluateConfig, FurtherTruth
from sparse3d.eval.refine_pose import RefineConfig
from sparse3d.eval.uncertainty import MAX_PAIRS, Pairs
from sparse3d.io.config_yaml import apply_delta, read_config
from sparse3d.io.gaussian_layers import read_gaussian_layers
from sparse3d.io.run_folder import RunFolder, read_reconstruction
from sparse3d.io.scenes import load_scene
from sparse3d.pipeline import leave_one_out as module
from sparse3d.pipeline.calibration import calibrate, left_out_pairs
from sparse3d.pipeline.config import ReconstructConfig
from sparse3d.pipeline.leave_one_out import leave_one_out
from sparse3d.pipeline.listener import Listener
from sparse3d.pipeline.reconstruct import reconstruct
from sparse3d.render.rasterise import RenderOptions

NAMES = ("002.jpg", "005.jpg", "008.jpg")
QUICK = {
    "camera": {"features": "sift", "max_side": 480},
    "depth": {"max_side": 128},
    "initialise": {"max_gaussians": 4000},
    "optim": {"passes": 20, "log_every": 6},
    "threads": 2,
}
CONFIG = EvaluateConfig(
    refine=RefineConfig(iterations=10, max_side_px=64), lpips_nets=("alex",), options=RenderOptions(threads=2)
)


PHOTO = np.full((360, 480, 3), 0.5)


class Recorder(Listener):
    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str, detail: str) -> None:
        self.stages.append(f"{name}: {detail}")

    def kept(self) -> int:
        return sum("kept from before" in line for line in self.stages)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, Path]:
    """A run of three small photos, and their folder."""
    folder = tmp_path_factory.mktemp("loo")
    (folder / "photos").mkdir()
    for name in NAMES:
        with Image.open(load_scene("courtyard").root / "images" / name) as photo:
            photo.resize((480, 360), Image.Resampling.BOX).save(folder / "photos" / name, quality=95)
    reconstruct(folder / "photos", folder / "run", config=apply_delta(ReconstructConfig(), QUICK))
    return folder / "run", folder / "photos"


@pytest.fixture(scope="module")
def measured(finished):
    """The evaluation, and what was told meanwhile."""
    told, recorder = [], Recorder()
    mask = np.zeros((360, 480), bool)
    mask[90:270, 120:360] = True
    further = FurtherTruth(read_mask=lambda name: mask if name == "005.jpg" else None)
    result = leave_one_out(*finished, CONFIG, further=further, listener=recorder, on_progress=told.append)
    return result, told, recorder


def test_every_photo_is_scored_by_a_scene_made_without_it(finished, measured):
    result, told, _ = measured
    run = finished[0]
    assert [view.name for view in result.held_out] == list(NAMES)
    assert told[0] == "photo 1 of 3: 002.jpg left out"
    training = {view.name: view.score.psnr for view in result.training}
    for view in result.held_out:
        assert 10 < view.aligned.psnr < training[view.name]  # unseen is worse than seen
        assert 0 < view.aligned.covered.share <= 1
        assert view.refined is not None
        rest = read_reconstruction(RunFolder(run).left_out(view.name))
        assert view.name not in rest.cameras.names and len(rest.cameras) == 2
    assert [view.aligned.masked is None for view in result.held_out] == [True, False, True]


def test_a_run_leaves_the_error_to_be_expected_of_each_gaussian(finished):
    run = RunFolder.open(finished[0])
    count = len(read_reconstruction(finished[0]).gaussians)
    layer = read_gaussian_layers(run.layers, count)["uncertainty"]
    assert layer.min() > 0
    assert layer.max() < 2


def test_expected_errors_are_set_right_by_those_found(finished, measured):
    run, count = RunFolder.open(finished[0]), len(read_reconstruction(finished[0]).gaussians)
    score = measured[0].uncertainty
    layers = read_gaussian_layers(run.layers, count)
    assert score.photos == 3 and 0 < score.mean_error < 0.5 and 0 < score.ause_of_random < 1
    assert layers["uncertainty_calibrated"] == pytest.approx(score.law(layers["uncertainty"]), rel=1e-5)
    again = leave_one_out(*finished, CONFIG, further=FurtherTruth(read_mask=lambda name: np.ones((360, 480), bool)))
    after = read_gaussian_layers(run.layers, count)
    assert np.array_equal(after["uncertainty"], layers["uncertainty"]), "the raw layer stays"
    assert score.pairs < again.uncertainty.pairs <= MAX_PAIRS, "pixels outside of the mask do not count"
    shown = again.to_json()
    assert shown["uncertainty"]["factor"] == again.uncertainty.factor and shown["uncertainty_reason"] is None
    assert "law" in shown["protocol"]["uncertainty"]


def test_a_run_without_expected_errors_has_a_reason_instead(finished, measured, tmp_path, capsys):
    whole, run = read_reconstruction(finished[0]), RunFolder(tmp_path / "run")
    layers = RunFolder(finished[0]).layers
    shutil.copytree(layers, run.layers)
    score, reason = calibrate(run, whole, [])
    assert score is None and "fewer than 20 pixels" in reason
    assert not (run.layers / "uncertainty_calibrated.npz").exists(), "that of an earlier evaluation"
    (run.layers / "uncertainty.npz").unlink()
    assert (
        left_out_pairs(run, whole, whole.cameras.select([0]), PHOTO, np.ones((360, 480), bool), CONFIG.options) is None
    )
    pairs = [Pairs(np.full(100, 0.1), np.full(100, 0.2))]
    score, reason = calibrate(run, whole, pairs)
    assert score is None and "has no layer `uncertainty`" in reason
    result = dataclasses.replace(measured[0], uncertainty=None, uncertainty_reason=reason)
    print_evaluation(result.to_json())
    assert "expected colour error: not measured: the run has no layer" in capsys.readouterr().out


def test_a_scene_made_again_has_no_old_calibration(finished, measured, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run", ignore=shutil.ignore_patterns("leave-one-out"))
    layer = tmp_path / "run" / "layers" / "uncertainty_calibrated.npz"
    assert layer.is_file()
    reconstruct(finished[1], tmp_path / "run", config=apply_delta(ReconstructConfig(), QUICK))
    assert not layer.exists()


@pytest.mark.parametrize(("names", "expected"), [(NAMES, (1, 2)), (NAMES[:2], (3,))])
def test_passes_are_chosen_by_photos_left_out(finished, tmp_path, names, expected):
    """The run's settings tell the choice; two photos leave none to leave out."""
    delta = {**QUICK, "optim": {"passes": 3, "passes_choices": [1, 2]}}
    reconstruct(finished[1], tmp_path / "run", names=names, config=apply_delta(ReconstructConfig(), delta))
    found = read_config(tmp_path / "run" / "config.yaml", ReconstructConfig())
    assert found.optim.passes in expected


def test_the_cameras_stay_those_of_the_run(finished, measured):
    run = finished[0]
    whole = read_reconstruction(run).cameras
    for name in NAMES:
        rest = read_reconstruction(RunFolder(run).left_out(name)).cameras
        expected = whole.select([whole.names.index(other) for other in rest.names])
        assert (rest.cam_from_world - expected.cam_from_world).abs().max() < 1e-6
        assert (rest.K - expected.K).abs().max() < 1e-3


def test_the_file_says_what_was_done(measured):
    document = measured[0].to_json()
    json.dumps(document, allow_nan=False)
    assert document["kind"] == "leave one out"
    assert document["held_out"]["aligned"]["views"] == 3
    assert document["poses"] is None and "no true cameras" in document["poses_reason"]
    assert "estimated with the photo" in document["protocol"]["held_out"]


def test_what_is_done_is_not_done_again(finished, measured):
    shutil.rmtree(RunFolder(finished[0]).left_out("008.jpg"))  # as if it had been stopped before the last one
    recorder = Recorder()
    again = leave_one_out(*finished, CONFIG, listener=recorder)
    assert recorder.kept() == 4  # cameras and depth of the two that were done
    for new, old in zip(again.held_out, measured[0].held_out, strict=True):
        assert new.aligned.psnr == pytest.approx(old.aligned.psnr, abs=1e-6)


def test_an_interrupted_run_is_not_scored(finished, measured, monkeypatch):
    def stopped(*args, **kwargs):
        rest = read_reconstruction(RunFolder(finished[0]).left_out("002.jpg"))
        return rest.replace(history=({**rest.history[-1], "iteration": 3.0},))

    monkeypatch.setattr(module, "reconstruct", stopped)
    with pytest.raises(KeyboardInterrupt):
        leave_one_out(*finished, CONFIG)


def test_a_scene_that_cannot_be_made_is_a_reason_not_an_end(finished, measured, monkeypatch):
    def fails(photos, out, *, names, **rest):
        if "005.jpg" not in names:
            raise InputError("no two photos overlap")
        return reconstruct(photos, out, names=names, **rest)

    monkeypatch.setattr(module, "reconstruct", fails)
    result = leave_one_out(*finished, CONFIG)
    assert [view.aligned is None for view in result.held_out] == [False, True, False]
    assert result.held_out[1].reason == "not measured: no two photos overlap"
    assert result.to_json()["held_out"]["aligned"]["views"] == 2


def test_two_photos_and_the_wrong_folder_are_refused(finished, tmp_path):
    run, photos = finished
    two = tmp_path / "two"
    shutil.copytree(run, two, ignore=shutil.ignore_patterns("leave-one-out", "stages"))
    document = json.loads((two / "cameras.json").read_text())
    document["cameras"] = document["cameras"][:2]
    (two / "cameras.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="nothing is left to match"):
        leave_one_out(two, photos)
    with pytest.raises(InputError, match="has 640x480 pixels, the run was made from a photo of 480x360"):
        leave_one_out(run, load_scene("courtyard").root / "images")
    with pytest.raises(InputError, match="no such folder"):
        leave_one_out(run, tmp_path / "nowhere")
