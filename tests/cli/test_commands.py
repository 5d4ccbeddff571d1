"""The command line as a user meets it, on the project's own sample scene."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparse3d.io.coverage_json import read_coverage
from sparse3d.io.scenes import load_scene

QUICK = """
camera: {features: sift, max_side: 640}
depth: {max_side: 256}
initialise: {max_gaussians: 20000}
optim: {passes: 40, log_every: 20}
"""


def sparse3d(*args: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from sparse3d.cli.main import main; main()", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def scene():
    return load_scene("courtyard")


@pytest.fixture(scope="module")
def finished(scene, tmp_path_factory):
    """One small run, and how it went."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "quick.yaml").write_text(QUICK)
    result = sparse3d(
        "reconstruct", scene.root / "images", "--out", folder / "run", "--config", folder / "quick.yaml",
        "--images", *scene.split["sparse3"]["train"],
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder / "run", result


def test_the_run_folder_is_complete(finished, scene):
    run, result = finished
    for name in (
        "cameras.json",
        "gaussians.ply",
        "coverage.json",
        "metrics.json",
        "config.yaml",
        "log.txt",
        "report.html",
    ):
        assert (run / name).stat().st_size > 0, name
    for name in scene.split["sparse3"]["train"]:
        stem = Path(name).stem
        rendering = np.asarray(Image.open(run / "renderings" / f"{stem}.png"), float) / 255
        photo = np.asarray(Image.open(run / "photos" / f"{stem}.jpg"), float) / 255
        assert rendering.shape == photo.shape
        assert -10 * np.log10(((rendering - photo) ** 2).mean()) > 20
        assert (run / "depth" / f"{stem}.npz").exists() and (run / "depth" / f"{stem}.png").exists()
    assert "config.yaml" in {p.name for p in run.iterdir()}
    places = read_coverage(run / "coverage.json").next_photos
    assert places and f"Next photo: {places[0].text}" in " ".join(result.stderr.split()), "the best place in one line"


def test_held_out_views_are_rendered_and_evaluated(finished, scene, tmp_path):
    run, _ = finished
    result = sparse3d("evaluate", run, "--truth", scene.cameras_path, "--max-held-out", 2)
    assert result.returncode == 0, result.stderr
    document = json.loads((run / "evaluation.json").read_text())
    assert document["poses"]["rotation_deg_median"] < 0.5
    assert document["held_out"]["aligned"]["psnr"] > 18
    assert "not measured" in result.stdout or document["held_out"]["aligned"].get("lpips_alex") is not None

    cameras = json.loads((run / "cameras.json").read_text())
    cameras["cameras"] = cameras["cameras"][:1]
    cameras["cameras"][0]["file"] = "looks/first.png"
    (tmp_path / "cameras.json").write_text(json.dumps(cameras))
    result = sparse3d("render", run, "--cameras", tmp_path / "cameras.json", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "out" / "looks" / "first.png") as picture:
        assert picture.size == (640, 480)


def test_a_run_is_measured_without_truth(finished, scene):
    """Each of its photos left out in turn; here the first and the last."""
    run, _ = finished
    result = sparse3d("evaluate", run, "--photos", scene.root / "images", "--max-held-out", 2, "--no-refine")
    assert result.returncode == 0, result.stderr
    assert "photo 2 of 2" in result.stderr
    assert "left out, own camera" in result.stdout and "expected colour error: 0." in result.stdout
    document = json.loads((run / "evaluation.json").read_text())
    assert document["uncertainty"]["photos"] == 2 and (run / "layers" / "uncertainty_calibrated.npz").is_file()
    assert document["kind"] == "leave one out"
    left_out = {view["name"]: view["aligned"]["psnr"] for view in document["held_out"]["views"]}
    assert len(left_out) == 2 and min(left_out.values()) > 12
    for name in left_out:
        assert (run / "leave-one-out" / Path(name).stem / "report.html").is_file()


def test_a_second_run_goes_on_from_the_first(finished, scene):
    run, _ = finished
    before = (run / "gaussians.ply").read_bytes()
    result = sparse3d(
        "reconstruct", scene.root / "images", "--out", run, "--config", run.parent / "quick.yaml",
        "--images", *scene.split["sparse3"]["train"],
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("kept from before") == 2
    assert (run / "gaussians.ply").read_bytes() == before


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("reconstruct", "nowhere", "--out", "run"), "nowhere: no such folder"),
        (("reconstruct", ".", "--out", "run", "--preset", "best"), "no preset 'best'"),
        (("render", ".", "--cameras", "c.json", "--out", "o"), "c.json"),
        (("evaluate", ".", "--truth", "c.json"), "not a run folder"),
        (("view", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_bad_input_ends_with_code_two_and_a_remedy(args, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = sparse3d(*args)
    assert result.returncode == 2, result.stderr
    assert expected in result.stderr
    assert "Traceback" not in result.stderr


def test_one_photo_is_not_enough(scene, tmp_path):
    result = sparse3d("reconstruct", scene.root / "images", "--out", tmp_path / "run", "--images", "000.jpg")
    assert result.returncode == 2
    assert "need at least 2" in result.stderr


def test_an_unknown_option_is_refused():
    result = sparse3d("reconstruct", "photos", "--out", "run", "--colour", "red")
    assert result.returncode == 2


def test_help_names_every_command():
    result = sparse3d("--help")
    assert result.returncode == 0
    for command in ("reconstruct", "render", "evaluate", "view", "doctor"):
        assert command in result.stdout


def test_doctor_finds_working_backends():
    result = sparse3d("doctor")
    assert result.returncode == 0, result.stderr
    for line in result.stdout.splitlines():
        if line.strip().startswith(("cpu ", "reference ")):
            assert "works" in line
    assert "LPIPS" in result.stdout
