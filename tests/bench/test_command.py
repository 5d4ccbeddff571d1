"""`sparse3d bench` as a user types it, on the sample scene as a data set of our own format."""

import json

import pytest

from sparse3d.cli.main import main
from sparse3d.io.cameras_json import read_cameras_json, write_cameras_json
from sparse3d.io.json_files import write_json
from sparse3d.io.ply import write_gaussians_ply
from sparse3d.io.scenes import load_scene

from .conftest import TEST, TRAIN, cloud


@pytest.fixture
def data(tmp_path):
    """A data set with one scene, which is the courtyard with one split, and somebody's Gaussians for it."""
    root = load_scene("courtyard").root
    scene = tmp_path / "data" / "yard"
    scene.mkdir(parents=True)
    (scene / "images").symlink_to(root / "images")
    write_cameras_json(scene / "cameras.json", read_cameras_json(root / "cameras.json"))
    write_json(scene / "split.json", {"sparse3": {"train": TRAIN, "test": TEST}})
    write_gaussians_ply(tmp_path / "theirs" / "yard" / "sparse3" / "gaussians.ply", cloud())
    return tmp_path


def test_a_bench_writes_results_and_a_page_and_goes_on(data, capsys):
    theirs, out = data / "theirs", data / "out"
    command = ["bench", "public", "--data", data / "data", "--out", out, "--views", 3, "--seeds", 1, "--poses", "posed"]
    command += ["--methods", f"ply:{theirs}", "--threads", 1]
    main([str(word) for word in command])
    shown = " ".join(capsys.readouterr().err.split())
    assert "1 jobs" in shown and "yard sparse3 posed ply theirs seed 0: 3 of 3 placed, PSNR" in shown
    [line] = (out / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["status"] == "done"
    page = (out / "index.html").read_text()
    assert "ply theirs" in page and page.count("data:image/jpeg") == 4  # two held-out photos beside their renderings
    main([str(word) for word in command])
    assert "1 have a result" in " ".join(capsys.readouterr().err.split())
    assert (out / "results.jsonl").read_text() == line + "\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing"], "no data set 'nothing'"),
        (["public", "--methods", "nerf"], "no method 'nerf'"),
        (["public", "--views", "5"], "nothing to run"),
        (["public", "--seeds", "0"], "--seeds is 0"),
        (["public", "--published", "nowhere.yaml"], "nowhere.yaml: no such file"),
    ],
)
def test_bad_input_ends_with_code_two(data, capsys, words, told):
    with pytest.raises(SystemExit) as ended:
        main(["bench", *words, "--data", str(data / "data"), "--out", str(data / "out")])
    assert ended.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())
