"""A run in which one given camera is wrong: what comes out, and what the user is told."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparse3d.core import se3
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.image_metrics import psnr
from sparse3d.io.cameras_json import read_cameras_json, write_cameras_json
from sparse3d.io.config_yaml import apply_delta
from sparse3d.io.run_folder import RunFolder, read_reconstruction
from sparse3d.io.scenes import load_scene
from sparse3d.pipeline.config import ReconstructConfig
from sparse3d.pipeline.listener import Listener
from sparse3d.pipeline.reconstruct import reconstruct
from sparse3d.render.rasterise import RenderOptions, rasterise

NAMES, WRONG, HELD_OUT = ("002.jpg", "005.jpg", "008.jpg"), "005.jpg", "004.jpg"
QUICK = {
    "camera": {"features": "sift", "max_side": 480},
    "depth": {"max_side": 128},
    "initialise": {"max_gaussians": 6000},
    "optim": {"passes": 20, "log_every": 6},
    "coverage": False,
    "threads": 2,
}


class Recorder(Listener):
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.warnings: list[str] = []

    def stage(self, name: str, detail: str) -> None:
        self.stages.append(f"{name}: {detail}")

    def warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Photos, their true cameras, and the same with one of them turned by 15 degrees."""
    folder, scene = tmp_path_factory.mktemp("outliers"), load_scene("courtyard")
    (folder / "photos").mkdir()
    for name in (*NAMES, HELD_OUT):
        with Image.open(scene.root / "images" / name) as photo:
            photo.resize((480, 360), Image.Resampling.BOX).save(folder / "photos" / name, quality=95)
    assert scene.cameras_path is not None
    cameras = read_cameras_json(scene.cameras_path)
    cameras = cameras.select([cameras.names.index(f"images/{name}") for name in (*NAMES, HELD_OUT)])
    cameras = cameras.resized([(480, 360)] * 4).replace(names=(*NAMES, HELD_OUT))
    write_cameras_json(folder / "true.json", cameras)
    poses = cameras.cam_from_world.clone()
    turn = se3.so3_exp(torch.tensor([0.1, -1.0, 0.2], dtype=torch.float64) * np.radians(15) / np.sqrt(1.05))
    poses[1, :3] = turn @ poses[1, :3]
    write_cameras_json(folder / "turned.json", cameras.replace(cam_from_world=poses))
    return folder


def made(inputs: Path, cameras: str, **changes) -> tuple[Reconstruction, Recorder, RunFolder]:
    recorder, out = Recorder(), inputs / f"{cameras}-{len(changes)}"
    config = dataclasses.replace(apply_delta(ReconstructConfig(), QUICK), **changes)
    known = inputs / f"{cameras}.json"
    result = reconstruct(inputs / "photos", out, known=known, names=NAMES, config=config, listener=recorder)
    return result, recorder, RunFolder.open(out)


def held_out_psnr(inputs: Path, result: Reconstruction) -> float:
    cameras = read_cameras_json(inputs / "true.json")
    camera = cameras.select([3]).resized([(120, 90)]).to(torch.float32)
    rendering = rasterise(result.gaussians.activate(), camera, options=RenderOptions(threads=2)).rgb[0].clamp(0, 1)
    with Image.open(inputs / "photos" / HELD_OUT) as photo:
        truth = np.asarray(photo.resize((120, 90), Image.Resampling.BOX)) / 255
    return psnr(rendering.double().numpy(), truth)


@pytest.fixture(scope="module")
def right(inputs):
    return made(inputs, "true")


@pytest.fixture(scope="module")
def mended(inputs):
    return made(inputs, "turned")


def test_right_cameras_are_taken_as_they_are(right):
    result, recorder, run = right
    assert result.cameras.pose_known == (True,) * 3 and recorder.warnings == []
    [line] = [s for s in recorder.stages if s.startswith("outliers")]
    assert line.startswith("outliers: 3 photos fit the others, the least with ")
    assert not list(run.stages.glob("outliers-*")), "nothing was done again"
    checks = json.loads(run.metrics.read_text())["checks"]
    assert set(checks) == set(NAMES) and all(check["outcome"] == "fits" for check in checks.values())
    assert all(check["agreement"] > 0.6 for check in checks.values())
    assert "fits the others" in run.report.read_text()


def test_a_camera_turned_by_15_degrees_is_found_and_placed_anew(inputs, right, mended):
    result, recorder, _ = mended
    truth = read_cameras_json(inputs / "true.json").cam_from_world[1]
    found = result.cameras.cam_from_world[1]
    assert float(se3.rotation_angle_deg(found[:3, :3] @ truth[:3, :3].T)) < 1.0
    assert result.cameras.pose_known == (True, False, True)
    assert any("placed anew: 005.jpg" in line for line in recorder.stages)
    assert held_out_psnr(inputs, result) > held_out_psnr(inputs, right[0]) - 0.5


def test_it_is_told_everywhere(mended):
    _, recorder, run = mended
    [sentence] = [w for w in recorder.warnings if w.startswith(WRONG)]
    assert "did not fit the others" in sentence and "turned by 15.0 degrees" in sentence
    assert sentence in read_reconstruction(run.root).provenance.warnings
    assert sentence in run.log.read_text()
    report = run.report.read_text()
    assert "005.jpg did not fit what the other photos agree on and was placed anew" in report
    assert "2 cameras were given and kept fixed; the others come from the photos" in report
    assert re.search(r"005\.jpg</td><td[^>]*>placed anew", report)
    check = json.loads(run.metrics.read_text())["checks"][WRONG]
    assert check["outcome"] == "placed anew" and check["agreement"] < 0.2
    assert check["turned_deg"] == pytest.approx(15.0, abs=0.5)


def test_what_was_done_again_is_kept(inputs, mended):
    _, recorder, _ = made(inputs, "turned")
    assert any(line.startswith("outliers") and "kept from before" in line for line in recorder.stages)
    assert any(w.startswith(WRONG) for w in recorder.warnings)


def test_switched_off_the_given_camera_stays_and_spoils_the_scene(inputs, mended):
    off = dataclasses.replace(ReconstructConfig().outliers, enabled=False)
    result, recorder, run = made(inputs, "turned", outliers=off)
    assert result.cameras.pose_known == (True,) * 3
    assert not any(line.startswith("outliers") for line in recorder.stages)
    assert json.loads(run.metrics.read_text())["checks"] == {}
    assert held_out_psnr(inputs, result) < held_out_psnr(inputs, mended[0]) - 1
