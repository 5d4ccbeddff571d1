"""Manifests of data sets, and fetching one from the loopback interface."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from loopback import Served, serve

from sparse3d.bench.datasets import DATASETS
from sparse3d.cli.main import main
from sparse3d.core.errors import InputError
from sparse3d.io.dataset_manifests import RECORD, list_datasets, load_dataset_manifest, read_dataset_manifest
from sparse3d.io.scenes import SCENES_VARIABLE, list_scenes

TEXTS = {
    "name": "toy",
    "title": "A toy",
    "homepage": "http://127.0.0.1",
    "paper": "none",
    "licence": "CC0",
    "layout": "SCENE/a.txt",
}
UNKNOWN = 'sha256 = "unknown"\nbytes = "unknown"\n'


def write_manifest(folder: Path, archives: str, **more: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{TEXTS['name']}.toml"
    path.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in (TEXTS | more).items()) + archives)
    return path


def archive(url: str, rest: str = UNKNOWN) -> str:
    return f"[[archives]]\nurl = {json.dumps(url)}\n{rest}"


def test_every_data_set_has_a_manifest_and_none_an_invented_checksum() -> None:
    assert set(list_datasets()) == set(DATASETS) - {"public"}
    assert not set(list_datasets()) & set(list_scenes())
    for name in list_datasets():
        manifest = load_dataset_manifest(name)
        assert manifest.name == name
        assert manifest.archives or manifest.by_hand
    assert all(a.sha256 is None for name in list_datasets() for a in load_dataset_manifest(name).archives)


@pytest.mark.parametrize(
    ("archives", "more", "message"),
    [
        ("", {}, "has neither"),
        (archive("ftp://host/a.zip"), {}, "is no http or https address"),
        (archive("http://host/"), {}, "is no http or https address"),
        (
            archive("http://host/a.zip", 'sha256 = "abc"\nbytes = 3\n'),
            {},
            "neither 64 hexadecimal digits nor 'unknown'",
        ),
        (archive("http://host/a.zip", 'sha256 = "unknown"\nbytes = -3\n'), {}, "neither a number nor 'unknown'"),
        (archive("http://host/a.zip", 'sha256 = "unknown"\n'), {}, "KeyError: 'bytes'"),
        (archive("http://host/a.zip"), {"title": ""}, "is not of a manifest"),
        (archive("http://host/a.zip"), {"colour": "red"}, "colour is not of a manifest"),
        ("archives = 3", {}, "not a manifest"),
        ("= 3", {}, "not a manifest"),
    ],
)
def test_malformed_manifests(tmp_path: Path, archives: str, more: dict[str, str], message: str) -> None:
    path = write_manifest(tmp_path, archives, **more)
    with pytest.raises(InputError, match=message) as refused:
        read_dataset_manifest(path)
    assert "toy.toml" in str(refused.value)


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of scenes with one data set of two archives, on a server."""
    scenes = tmp_path / "scenes"
    (scenes / "empty").mkdir(parents=True)
    (scenes / "empty" / "scene.toml").write_text("")
    monkeypatch.setenv(SCENES_VARIABLE, str(scenes))
    files = {"/x/photos.zip": zipped({"toy/a.txt": "a"}), "/x/cameras.tar.gz": tarred({"toy/b.txt": "b"})}
    with serve(Served(files)) as served:
        urls = [served.url + path for path in files]
        write_manifest(scenes / "datasets", archive(urls[0]) + archive(urls[1]), by_hand="Get the masks yourself.")
        yield served


def get(*args: object) -> None:
    main(["scenes", "get", *map(str, args)])


def test_a_data_set_is_fetched_once(toy: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    get("toy", "--out", tmp_path / "out")
    told = capsys.readouterr().out
    assert told.count("no checksum is on record, so that nothing was compared; found SHA-256") == 2
    assert "by hand: Get the masks yourself." in told
    assert "licence: CC0" in told
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [RECORD, "toy"]
    assert (tmp_path / "out" / "toy" / "a.txt").read_text() == "a"
    assert (tmp_path / "out" / "toy" / "b.txt").read_text() == "b"
    assert len(toy.asked) == 2
    get("toy", "--out", tmp_path / "out")
    assert capsys.readouterr().out.count("unpacked before") == 2
    assert len(toy.asked) == 2


def test_what_was_done_before_a_failure_is_kept(
    toy: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.statuses = [0, 404]
    with pytest.raises(SystemExit) as ended:
        get("toy", "--out", tmp_path / "out")
    assert ended.value.code == 2
    assert "cameras.tar.gz: the server answers 404" in capsys.readouterr().err
    toy.asked.clear()
    get("toy", "--out", tmp_path / "out")
    assert len(toy.asked) == 1


def test_malicious_archives_and_wrong_checksums_end_with_two(
    toy: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.files["/x/photos.zip"] = zipped({"toy/a.txt": "a", "../evil.txt": "x"})
    with pytest.raises(SystemExit) as ended:
        get("toy", "--out", tmp_path / "out")
    assert ended.value.code == 2
    assert "leads out of its folder" in capsys.readouterr().err
    assert not (tmp_path / "evil.txt").exists()
    rest = f'sha256 = "{"0" * 64}"\nbytes = "unknown"\n'
    write_manifest(tmp_path / "scenes" / "datasets", archive(f"{toy.url}/x/cameras.tar.gz", rest))
    with pytest.raises(SystemExit) as ended:
        get("toy", "--out", tmp_path / "other")
    assert ended.value.code == 2
    assert "is on record; it was removed" in capsys.readouterr().err
    assert list((tmp_path / "other").iterdir()) == []


def test_a_checksum_on_record_is_compared(toy: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import hashlib

    content = toy.files["/x/photos.zip"]
    rest = f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nbytes = {len(content)}\n'
    write_manifest(tmp_path / "scenes" / "datasets", archive(f"{toy.url}/x/photos.zip", rest))
    get("toy", "--out", tmp_path / "out")
    assert "photos.zip: SHA-256 as on record" in capsys.readouterr().out


def test_what_no_program_can_fetch_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, expected in (
        ("tanks", "Google Drive"),
        ("mvimgnet", "form"),
        ("co3d", "download_dataset.py"),
        ("no", "dtu"),
    ):
        with pytest.raises(SystemExit) as ended:
            get(name, "--out", tmp_path / "out")
        assert ended.value.code == 2
        assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_sample_scenes_are_written_out_and_all_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    get("courtyard", "--out", tmp_path / "court")
    assert (tmp_path / "court" / "images" / "000.jpg").is_file()
    main(["scenes", "list"])
    told = capsys.readouterr().out
    for name in (*list_scenes(), *list_datasets(), "dtu-masked, dtu", "by hand", "fetched"):
        assert name in told
