"""Jobs one by one: what comes out, what is kept, and what happens to those that fail."""

import dataclasses
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sparse3d.bench import runner
from sparse3d.bench.execute import execute
from sparse3d.bench.materials import true_cameras
from sparse3d.bench.methods.interface import Outcome, Provided, as_reconstruction
from sparse3d.bench.plan import BenchConfig, plan
from sparse3d.bench.results import ResultsFile
from sparse3d.bench.runner import pending, run_bench, run_task
from sparse3d.bench.scoring import NOTHING_DRAWN, score, write_pictures
from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.eval.config import EvaluateConfig
from sparse3d.io.image_files import read_image
from sparse3d.io.ply import write_gaussians_ply
from sparse3d.io.scenes import load_scene
from sparse3d.pipeline.report_pictures import FULL_SCALE_ERROR, error_colours

from .conftest import cloud

OPENSPLAT = """#!{python}
import shutil, sys
if "--help" in sys.argv:
    print("--keep-crs  Retain the project input's coordinate reference system")
else:
    shutil.copyfile({ply!r}, sys.argv[sys.argv.index("-o") + 1])
"""


def test_a_job_sees_the_training_photos_alone_and_is_scored_on_the_others(finished):
    (posed, unposed), records, _ = finished
    assert (posed.job.poses, unposed.job.poses) == ("posed", "unposed")
    record = records[posed.job.key]
    assert record["status"] == "done", record["reason"]
    given = sorted((posed.folder / "work" / "photos").iterdir())
    assert [path.name for path in given] == ["002.png", "005.png", "008.png"]
    with Image.open(given[0]) as photo:
        assert photo.size == (160, 120)
    known = json.loads((posed.folder / "work" / "cameras.json").read_text())
    assert [camera["file"] for camera in known["cameras"]] == [path.name for path in given]
    assert not (unposed.folder / "work" / "cameras.json").exists()
    assert record["figures"]["held_out.aligned.views"] == 2 and record["placed"] == 3
    assert 5 < record["figures"]["held_out.aligned.psnr"] < 25
    assert record["figures"]["poses.ate_relative"] < 1e-6
    assert not any("002" in key or "003" in key for key in record["figures"])
    assert record["timings"]["seconds"] >= 0 and record["timings"]["peak_gib"] > 0.05
    assert record["machine"]["cores"] and "commit" in record["machine"]
    for shown in record["pictures"]:
        assert (posed.pictures / shown["truth"]).is_file() and (posed.pictures / shown["rendering"]).is_file()
        assert shown["name"] in ("003.jpg", "006.jpg")


def test_masks_depth_and_surface_of_a_protocol_are_measured(tiny, theirs, tmp_path):
    root = load_scene("courtyard").root
    left = np.zeros((480, 640), np.uint8)
    left[:, :320] = 255
    Image.fromarray(left).save(tmp_path / "mask.png")
    write_gaussians_ply(tmp_path / "surface.ply", cloud(seed=1))
    scene = dataclasses.replace(
        tiny,
        masks=dict.fromkeys(tiny.photos, tmp_path / "mask.png"),
        depths={name: root / "depth" / f"{Path(name).stem}.png" for name in tiny.photos},
        surface=tmp_path / "surface.ply",
    )
    config = BenchConfig(methods=(f"ply:{theirs}",), views=(3,), seeds=1, threads=1, poses=("posed",))
    [task] = plan([scene], config, tmp_path / "out")
    result = execute(task)
    assert result["status"] == "done", result["reason"]
    figures = result["figures"]
    masked = next(
        value for key, value in figures.items() if key.startswith("held_out.aligned.masked") and "psnr" in key
    )
    assert masked != figures["held_out.aligned.psnr"]
    assert any("abs_rel" in key for key in figures) and any("f_score" in key or "chamfer" in key for key in figures)


def test_a_film_is_made_where_it_is_asked_for_of_earlier_results_too(tasks_of, finished, tmp_path):
    tasks, records, _ = finished
    assert all("film" not in record for record in records.values())
    [task] = tasks_of(tmp_path, films=True, poses=("posed",))
    assert task.job.key == tasks[0].job.key
    assert pending([task], records, retry_failed=False) == [task]
    record = execute(task)
    film = cv2.VideoCapture(str(task.pictures / record["film"]))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 72 and film.get(cv2.CAP_PROP_FRAME_WIDTH) == 512
    assert pending([task], {task.job.key: record}, retry_failed=False) == []


def test_without_an_encoder_the_figures_stay(tasks_of, tmp_path, monkeypatch):
    def no_encoder(*_):
        raise MissingDependency("OpenCV can write no MP4 here")

    monkeypatch.setattr("sparse3d.bench.films.write_mp4", no_encoder)
    [task] = tasks_of(tmp_path, films=True, poses=("posed",))
    record = execute(task)
    assert record["status"] == "done" and record["film"] is None
    assert "no film: OpenCV can write no MP4 here" in record["reasons"]


def test_a_method_that_expects_an_error_gets_a_map_of_it(tiny, tmp_path):
    cameras = true_cameras(tiny, tiny.splits["3"].train)
    expected = error_colours(np.full((1, 1), FULL_SCALE_ERROR / 2))[0, 0]

    def colours_of(count: int) -> np.ndarray:
        """The map's pixels where so many Gaussians are, all of one expected error."""
        scene = as_reconstruction(cameras, cloud(count=count), Provided("made up", 0))
        outcome = Outcome(scene, uncertainty=np.full(count, FULL_SCALE_ERROR / 2, np.float32))
        evaluation = score(outcome, tiny, "3", EvaluateConfig(max_held_out=1, refine=None, training=False))
        [shown] = write_pictures(tmp_path, "key", outcome, tiny, "3", evaluation)
        picture = read_image(tmp_path / shown["uncertainty"]).astype(int)
        assert picture.shape == read_image(tmp_path / shown["rendering"]).shape
        return picture.reshape(-1, 3)

    assert np.abs(colours_of(400) - expected).max(-1).mean() < 5, "a mean over what was blended: the one figure"
    assert np.abs(np.median(colours_of(1), axis=0) - NOTHING_DRAWN).max() < 5


def test_what_is_done_is_not_done_again_and_a_cut_line_is(finished, tmp_path):
    tasks, records, _ = finished
    results = ResultsFile(tmp_path / "results.jsonl")
    ran = []

    def stopped(tasks):
        yield records[tasks[0].job.key]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_bench(tasks, results, stopped, lambda r: ran.append(r["key"]))
    assert ran == [tasks[0].job.key] == list(results.read())
    with results.path.open("a") as file:
        file.write('{"key": "half a li')  # what a kill may leave
    todo = pending(tasks, results.read(), retry_failed=False)
    assert todo == tasks[1:]
    run_bench(todo, results, lambda each: [records[t.job.key] for t in each], lambda r: ran.append(r["key"]))
    assert ran == [task.job.key for task in tasks]
    assert results.read() == records and results.path.read_bytes().count(b"\n") == 2
    assert pending(tasks, results.read(), retry_failed=True) == []


def test_results_with_a_damaged_line_are_refused(finished, tmp_path):
    _, records, _ = finished
    results = ResultsFile(tmp_path / "results.jsonl")
    results.path.write_text("{broken\n")
    for record in records.values():
        results.add(record)
    with pytest.raises(InputError, match="line 1 is damaged"):
        results.read()


def test_a_method_that_is_not_there_is_recorded_and_retried_when_asked_for(tasks_of, tmp_path, monkeypatch):
    monkeypatch.delenv("SPARSE3D_OPENSPLAT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    [task] = tasks_of(tmp_path, methods=("opensplat:100",), poses=("unposed",))
    record = execute(task)
    assert record["status"] == "not available" and "SPARSE3D_OPENSPLAT" in record["reason"]
    found = {task.job.key: record}
    assert pending([task], found, retry_failed=False) == []
    assert pending([task], found, retry_failed=True) == [task]


def test_opensplat_gets_a_colmap_project_and_its_ply_is_scored(tasks_of, finished, tmp_path, theirs, monkeypatch):
    program = tmp_path / "opensplat"
    ply = str(theirs / "courtyard" / "3" / "gaussians.ply")
    program.write_text(OPENSPLAT.format(python=sys.executable, ply=ply))
    program.chmod(0o755)
    monkeypatch.setenv("SPARSE3D_OPENSPLAT", str(program))
    [task] = tasks_of(tmp_path, methods=("opensplat:100",), poses=("posed",))
    record = run_task(task, keep_runs=True)
    assert record["status"] == "done", record["reason"]
    project = task.folder / "work" / "method" / "project"
    assert len(list((project / "images").iterdir())) == 3
    assert {"cameras.bin", "images.bin", "points3D.bin"} <= {p.name for p in (project / "sparse" / "0").iterdir()}
    (posed, _), records, _ = finished
    assert record["figures"]["held_out.aligned.psnr"] == records[posed.job.key]["figures"]["held_out.aligned.psnr"]


def test_missing_results_of_others_are_a_failure_with_a_reason(tasks_of, tmp_path):
    (tmp_path / "nothing").mkdir()
    [task] = tasks_of(tmp_path, methods=(f"ply:{tmp_path / 'nothing'}",), poses=("posed",))
    record = execute(task)
    assert record["status"] == "failed" and "0 PLY files" in record["reason"]
    assert str(tmp_path) not in record["reason"]


def test_a_job_that_takes_too_long_is_ended(tasks_of, tmp_path):
    [task] = tasks_of(tmp_path, methods=("ours",), poses=("posed",), timeout_s=1.0)
    record = run_task(task)
    assert record["status"] == "failed" and record["reason"] == "time-out: not done after 1 s"


def test_a_process_that_dies_leaves_its_last_words(tasks_of, tmp_path, monkeypatch):
    script = tmp_path / "dies"
    script.write_text("#!/bin/sh\necho out of luck\nkill -9 $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(runner.sys, "executable", str(script))
    [task] = tasks_of(tmp_path, poses=("posed",))
    record = run_task(task)
    assert record["status"] == "failed"
    assert record["reason"] == "ended by signal SIGKILL: out of luck"


def test_ours_runs_with_settings_of_a_file_and_keeps_its_curve(tasks_of, tmp_path):
    (tmp_path / "small.yaml").write_text(
        "camera: {features: sift}\ndepth: {max_side: 96}\ninitialise: {max_gaussians: 2000}\n"
        "optim: {passes: 8, log_every: 4}\n"
    )
    [task] = tasks_of(tmp_path, methods=(f"ours@{tmp_path / 'small.yaml'}",), poses=("posed",))
    assert task.job.method == "small"
    record = run_task(task)
    assert record["status"] == "done", record["reason"]
    assert record["settings"]["optim"]["passes"] == 8 and "seed" not in record["settings"]
    assert [set(entry) for entry in record["history"]] == [{"iteration", "loss", "psnr"}] * 6
    assert record["figures"]["held_out.aligned.psnr"] > 12
    assert set(record["timings"]["stages_s"]) >= {"cameras", "depth", "optimise"}
