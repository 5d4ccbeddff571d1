"""Bad input through the command line: exit code 2, or 3 without the GPU that was asked for, a message that names file and
remedy, and nothing made is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparse3d.cli.main import main
from sparse3d.io.scenes import load_scene
from sparse3d.kernels.library import KernelUnavailable
from sparse3d.priors.stereo import surfaces

NAMES = ("002.jpg", "005.jpg", "008.jpg")
QUICK = """
camera: {features: sift, max_side: 480}
depth: {max_side: 128}
initialise: {max_gaussians: 3000}
optim: {passes: 4, log_every: 4}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A folder with the photos in `photos`, one of them twice, and the settings of a quick run."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "photos").mkdir()
    for name in NAMES:
        with Image.open(load_scene("courtyard").root / "images" / name) as photo:
            photo.resize((480, 360), Image.Resampling.BOX).save(folder / "photos" / name, quality=95)
    shutil.copy(folder / "photos" / "002.jpg", folder / "photos" / "003.jpg")
    (folder / "quick.yaml").write_text(QUICK)
    return folder


@pytest.fixture(scope="module")
def finished(small) -> Path:
    """A finished run; tests that change something take a copy."""
    main(["reconstruct", f"{small / 'photos'}", "--out", f"{small / 'run'}", "--config", f"{small / 'quick.yaml'}"])
    return small / "run"


@pytest.fixture
def refused(capsys):
    """Runs a command that has to end with exit code 2; returns its one line of explanation."""

    def run(*args: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in args])
        message = capsys.readouterr().err
        assert ended.value.code == 2, message
        assert "Traceback" not in message
        return message.strip().splitlines()[-1]

    return run


def copy_of(folder: Path, target: Path) -> Path:
    return shutil.copytree(folder, target)


def edited(source: Path, target: Path, **changes: object) -> Path:
    """A cameras.json with entries of its first camera changed; None takes one away."""
    document = json.loads(source.read_text())
    document["cameras"][0].update(changes)
    document["cameras"][0] = {k: v for k, v in document["cameras"][0].items() if v is not None}
    target.write_text(json.dumps(document))
    return target


def test_photos_lying_on_their_side_come_out_upright(small, finished, tmp_path):
    turned = tmp_path / "photos"
    turned.mkdir()
    stored = {"002.jpg": (3, Image.Transpose.ROTATE_180), "005.jpg": (6, Image.Transpose.ROTATE_90)}
    for name in NAMES:
        orientation, turn = stored.get(name, (8, Image.Transpose.ROTATE_270))
        exif = Image.Exif()
        exif[0x112] = orientation
        with Image.open(small / "photos" / name) as photo:
            photo.transpose(turn).save(turned / name, quality=95, exif=exif)
    main(["reconstruct", f"{turned}", "--out", f"{tmp_path / 'run'}", "--config", f"{small / 'quick.yaml'}"])
    for name in NAMES:
        ours, plain = (
            np.asarray(Image.open(run / "renderings" / Path(name).with_suffix(".png")), float) / 255
            for run in (tmp_path / "run", finished)
        )
        assert ours.shape == plain.shape
        assert -10 * np.log10(((ours - plain) ** 2).mean()) > 20


def test_a_photo_left_out_as_a_duplicate_is_not_held_out(small, finished, tmp_path):
    assert "All 3 usable photos were placed" in (finished / "report.html").read_text()
    assert "003.jpg was left out: it is the same file as 002.jpg" in (finished / "log.txt").read_text()
    document = json.loads((finished / "cameras.json").read_text())
    document["cameras"].append(document["cameras"][0] | {"file": "003.jpg"})
    (tmp_path / "truth.json").write_text(json.dumps(document))
    main(
        [
            "evaluate",
            f"{finished}",
            "--truth",
            f"{tmp_path / 'truth.json'}",
            "--images",
            f"{small / 'photos'}",
            "--no-refine",
        ]
    )
    result = json.loads((finished / "evaluation.json").read_text())
    assert result["held_out"]["aligned"] is None
    assert "every photo of the truth was given to the run" in result["held_out"]["reason"]


def test_unusable_photos_are_named(small, refused, tmp_path):
    photos = copy_of(small / "photos", tmp_path / "photos")
    whole = (photos / "005.jpg").read_bytes()
    (photos / "005.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "masks").mkdir()
    Image.new("L", (480, 360)).save(photos / "masks" / "008.png")
    message = refused("reconstruct", photos, "--out", tmp_path / "run")
    assert "found 1 readable photo" in message
    assert "005.jpg is truncated" in message
    assert "003.jpg is the same file as 002.jpg" in message
    assert "008.jpg has a mask that is black everywhere" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_names_that_are_no_text(small, refused, tmp_path):
    for name in (b"a\xff.jpg", b"b\n.jpg"):
        shutil.copy(small / "photos" / "002.jpg", tmp_path / os.fsdecode(name))
    message = refused("reconstruct", tmp_path, "--out", tmp_path / "run")
    assert message.count("rename it") == 2


def test_transparent_photos_and_masks_of_another_size(small, refused, tmp_path):
    Image.new("RGBA", (64, 64)).save(tmp_path / "a.png")
    assert "a.png is wholly transparent" in refused("reconstruct", tmp_path, "--out", tmp_path / "run")
    photos = copy_of(small / "photos", tmp_path / "photos")
    (photos / "masks").mkdir()
    Image.new("L", (480, 100), 255).save(photos / "masks" / "005.png")
    assert "make it as large as the photo" in refused("reconstruct", photos, "--out", tmp_path / "run")


def test_photos_without_overlap(small, refused, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)).save(tmp_path / name)
    message = refused("reconstruct", tmp_path, "--out", tmp_path / "run", "--config", small / "quick.yaml")
    assert "no two of the 2 photos overlap" in message and "--cameras" in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cam_from_world": [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "mirroring"),
        ({"cam_from_world": [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "not a rigid transform"),
        ({"cam_from_world": [[1, 0, 0, float("nan")], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "NaN"),
        ({"cam_from_world": [[1, 0, 0, 1e300], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "smaller unit"),
        ({"fx": 1e300}, "in pixels and at most"),
        ({"fx": -1.0}, "must be positive"),
        ({"distortion": [5, -20, 0.5, 0.5]}, "folds the picture onto itself"),
        ({"file": "../a.jpg"}, "relative path without '..'"),
        ({"file": "/a.jpg"}, "relative path without '..'"),
        ({"file": "a\ud800.jpg"}, "not a name that a file can have"),
        ({"width": 0}, "width and height must be whole numbers"),
    ],
)
def test_known_cameras_that_make_no_sense(small, finished, refused, tmp_path, changes, expected):
    known = edited(finished / "cameras.json", tmp_path / "known.json", **changes)
    message = refused("reconstruct", small / "photos", "--out", tmp_path / "run", "--cameras", known)
    assert expected in message and "known.json" in message
    assert not (tmp_path / "run").exists()


def test_cameras_of_other_photos(small, finished, refused, tmp_path):
    document = json.loads((finished / "cameras.json").read_text())
    for entry in document["cameras"]:
        entry["file"] = "other-" + entry["file"]
    (tmp_path / "known.json").write_text(json.dumps(document))
    args = ("reconstruct", small / "photos", "--out", tmp_path / "run", "--cameras")
    assert "knows none of the photos" in refused(*args, tmp_path / "known.json")
    assert "no such file" in refused(*args, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (("--threads", -1), "threads is -1"),
        (("--threads", 100000), "threads is 100000"),
        (("--seed", -5), "seed is -5"),
        (("--preset", "best"), "no preset 'best': there are default, fast"),
    ],
)
def test_options_out_of_range(small, refused, tmp_path, option, expected):
    assert expected in refused("reconstruct", small / "photos", "--out", tmp_path / "run", *option)


def test_settings_are_named_with_their_file(small, refused, tmp_path):
    args = ("reconstruct", small / "photos", "--out", tmp_path / "run", "--config", tmp_path / "mine.yaml")
    for line, expected in (
        ("optim: {passe: 3}", "did you mean passes?"),
        ("depth: {max_side: 0}", "depth.max_side is 0"),
        ("initialise: {max_gaussians: 0}", "max_gaussians is 0"),
    ):
        (tmp_path / "mine.yaml").write_text(line)
        message = refused(*args)
        assert expected in message and "mine.yaml" in message


@pytest.mark.parametrize("name", ["gaussians.ply", "cameras.json", "provenance.json"])
@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff\x00garbage"])
def test_damaged_runs_are_not_read(finished, refused, tmp_path, name, content):
    run = tmp_path / "run"
    run.mkdir()
    for file in ("sparse3d-run.json", "gaussians.ply", "cameras.json", "provenance.json"):
        shutil.copy(finished / file, run)
    (run / name).write_bytes(content)
    for command in (
        ("render", run, "--cameras", finished / "cameras.json", "--out", tmp_path / "out"),
        ("evaluate", run, "--truth", finished / "cameras.json"),
        ("view", run),
    ):
        assert name in refused(*command)


@pytest.mark.parametrize("train_px", [[0.0], [-3.0], "abc", [None]])
def test_provenance_with_impossible_numbers(finished, refused, tmp_path, train_px):
    run = copy_of(finished, tmp_path / "run")
    document = json.loads((run / "provenance.json").read_text()) | {"train_px": train_px}
    (run / "provenance.json").write_text(json.dumps(document))
    message = refused("render", run, "--cameras", finished / "cameras.json", "--out", tmp_path / "out")
    assert "provenance.json: is damaged" in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"file": "../out.png"}, "relative path without '..'"),
        ({"file": "."}, "outside"),
        ({"file": "link/x.png"}, "outside"),
        ({"width": 100_000, "height": 100_000}, "at most 64 megapixels"),
        ({"width": 100_000, "height": 3}, "32768 a side"),
        ({"width": 10**9}, "whole numbers from 1 to 100000"),
        ({"cam_from_world": None}, "has no pose"),
        ({"file": "005.png"}, "two cameras would write the same picture"),
    ],
)
def test_cameras_that_are_not_rendered(finished, refused, tmp_path, changes, expected):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    cameras = edited(finished / "cameras.json", tmp_path / "c.json", **changes)
    assert expected in refused("render", finished, "--cameras", cameras, "--out", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["link"]


def test_extreme_distortion_is_rendered_nevertheless(finished, tmp_path, capsys):
    changes = {"file": "a.png", "width": 32, "height": 24, "distortion": [1e30, 1e30, 0, 5]}
    cameras = edited(finished / "cameras.json", tmp_path / "c.json", **changes)
    main(["render", str(finished), "--cameras", str(cameras), "--out", str(tmp_path / "out")])
    with Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.size == (32, 24)


def test_arguments_of_render_evaluate_and_view(finished, refused, tmp_path):
    cameras = finished / "cameras.json"
    for command, expected in (
        (("render", finished, "--cameras", finished, "--out", tmp_path), "is a folder"),
        (("render", finished, "--cameras", cameras, "--out", cameras), "a file stands where a folder is needed"),
        (("render", finished, "--cameras", cameras, "--out", tmp_path, "--threads", -1), "threads is -1"),
        (("evaluate", finished, "--truth", cameras, "--threads", -1), "threads is -1"),
        (("evaluate", finished, "--truth", cameras, "--max-held-out", -1), "--max-held-out is -1"),
        (("evaluate", finished, "--truth", cameras, "--images", tmp_path / "no"), "no: no such folder"),
        (("evaluate", finished, "--truth", cameras, "--masks", tmp_path), "holds no images to use as masks"),
        (("evaluate", finished, "--truth", cameras, "--surface", tmp_path / "no.ply"), "no.ply: no such file"),
        (("evaluate", finished, "--truth", cameras, "--photos", tmp_path), "--photos is for an evaluation without"),
        (("evaluate", finished), "give their folder with --photos"),
        (("evaluate", finished, "--surface", cameras), "give them with --truth"),
        (("evaluate", finished, "--photos", tmp_path), "holds no photo named 002.jpg"),
        (("view", finished, "--port", 70000), "--port is 70000"),
        (("view", finished, "--host", "192.0.2.1"), "cannot be listened on"),
    ):
        assert expected in refused(*command)


def test_folders_that_are_not_written_to(small, refused, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    (tmp_path / "file").write_text("x")
    args = ("reconstruct", small / "photos", "--config", small / "quick.yaml", "--out")
    assert "holds files that are not a run" in refused(*args, tmp_path / "mine")
    assert "is a file" in refused(*args, tmp_path / "file")
    assert "not a folder" in refused(*args, tmp_path / "file" / "run")
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear diary"


def test_what_the_system_refuses_is_named(small, finished, refused, tmp_path):
    assert "File name too long" in refused("reconstruct", small / "photos", "--out", tmp_path / ("x" * 300))
    assert "File name too long" in refused(
        "render", "x" * 300, "--cameras", finished / "cameras.json", "--out", tmp_path
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind here")
def test_folders_without_permission_are_named(small, finished, refused, tmp_path):
    locked = copy_of(finished, tmp_path / "locked")
    locked.chmod(0)
    try:
        args = ("--cameras", finished / "cameras.json", "--out", tmp_path / "out")
        assert "Permission denied" in refused("render", locked, *args)
        assert "Permission denied" in refused("reconstruct", small / "photos", "--out", locked / "run")
    finally:
        locked.chmod(0o700)


def test_what_stands_in_the_way_within_a_run_is_named(small, finished, refused, tmp_path):
    before = (finished / "gaussians.ply").read_bytes()
    for name, is_folder in (("log.txt", True), ("renderings", False), ("stages", False)):
        run = copy_of(finished, tmp_path / name.replace(".", "-"))
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
        (run / name).mkdir() if is_folder else (run / name).write_text("x")
        message = refused("reconstruct", small / "photos", "--out", run, "--config", small / "quick.yaml")
        assert name in message and "stands where" in message
        assert (run / "gaussians.ply").read_bytes() == before


def test_damaged_stages_are_done_again(small, finished, tmp_path, capsys):
    run = copy_of(finished, tmp_path / "run")
    for stage in (run / "stages").iterdir():
        stage.write_bytes(stage.read_bytes()[:1000])
    main(["reconstruct", str(small / "photos"), "--out", str(run), "--config", str(small / "quick.yaml")])
    assert "kept from before" not in capsys.readouterr().err
    assert (run / "log.txt").read_text().count("is damaged") >= 3


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_killed_run_goes_on_and_ctrl_c_keeps_what_is_done(small, tmp_path):
    (tmp_path / "long.yaml").write_text(
        QUICK.replace("passes: 4, log_every: 4", "passes: 100000, checkpoint_every_s: 0.5")
    )
    run = tmp_path / "run"
    command = [sys.executable, "-c", "from sparse3d.cli.main import main; main()", "reconstruct"]
    command += [str(small / "photos"), "--out", str(run), "--config", str(tmp_path / "long.yaml")]

    def until(found) -> subprocess.Popen:
        # Tests that run in the background inherit that Ctrl-C is ignored, and so would this process.
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
        deadline = time.monotonic() + 60
        while not found() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        return process

    killed = until(lambda: any((run / "stages").glob("optimise-*")))
    killed.kill()
    killed.communicate()
    [checkpoint] = (run / "stages").glob("optimise-*")
    written = checkpoint.stat().st_mtime_ns
    stopped = until(lambda: checkpoint.stat().st_mtime_ns != written)
    stopped.send_signal(signal.SIGINT)
    _, told = stopped.communicate(timeout=60)
    assert stopped.returncode == 0, told
    assert "keeping what is done" in told and "Traceback" not in told
    assert "going on from iteration" in (run / "log.txt").read_text()
    assert (run / "gaussians.ply").stat().st_size > 0 and (run / "report.html").stat().st_size > 0


def test_a_gpu_that_is_not_there_ends_with_three_and_a_message(small, tmp_path, monkeypatch, capsys):
    def no_gpu():
        raise KernelUnavailable("the NVIDIA driver sees no GPU")

    monkeypatch.setattr(surfaces, "require_gpu", no_gpu)
    settings = tmp_path / "gpu.yaml"
    settings.write_text(QUICK.replace("max_side: 128", "max_side: 128, device: cuda"))
    with pytest.raises(SystemExit) as ended:
        main(["reconstruct", f"{small / 'photos'}", "--out", f"{tmp_path / 'run'}", "--config", f"{settings}"])
    assert ended.value.code == 3
    assert "depth.device is 'cuda', but the NVIDIA driver sees no GPU" in capsys.readouterr().err
