"""Downloads over the loopback interface: resumed, checked, never half in place."""

import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from loopback import Served, serve

from sparse3d.core.errors import InputError
from sparse3d.io import download as module
from sparse3d.io.download import ATTEMPTS, Wanted, download

CONTENT = bytes(range(256)) * 1200
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILES = {"/data/set.zip": CONTENT}


def fetch(served: Served, target: Path, *, path: str = "/data/set.zip", **known) -> str:
    return download(Wanted(served.url + path, **known), target, pause_s=0.0)


def left_behind(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_arrives_whole_with_its_checksum(tmp_path: Path) -> None:
    seen = []
    with serve(Served(FILES)) as served:
        wanted = Wanted(f"{served.url}/data/set.zip", SHA256.upper(), len(CONTENT))
        found = download(
            wanted, tmp_path / "new" / "set.zip", on_progress=lambda done, total: seen.append((done, total))
        )
        assert download(wanted, tmp_path / "new" / "set.zip") == SHA256
    assert found == SHA256
    assert (tmp_path / "new" / "set.zip").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert left_behind(tmp_path / "new") == ["set.zip"]
    assert served.asked == [""]  # what is there is not fetched again


def test_dropped_connections_are_continued(tmp_path: Path) -> None:
    with serve(Served(FILES, drops=[1000, 50_000, 0])) as served:
        assert fetch(served, tmp_path / "set.zip", sha256=SHA256) == SHA256
    assert served.asked == ["", "bytes=1000-", "bytes=51000-", "bytes=51000-"]
    assert left_behind(tmp_path) == ["set.zip"]


def test_an_earlier_run_is_continued(tmp_path: Path) -> None:
    with serve(Served(FILES, drops=[1000] + [0] * ATTEMPTS)) as served:
        with pytest.raises(InputError, match=r"broke 5 times in a row .*; 1000 bytes are kept in .*set\.zip\.partial"):
            fetch(served, tmp_path / "set.zip")
        assert not (tmp_path / "set.zip").exists()
        served.drops, served.asked = [], []
        assert fetch(served, tmp_path / "set.zip", sha256=SHA256) == SHA256
    assert served.asked == ["bytes=1000-"]


def test_a_file_that_changed_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    with serve(Served(FILES, drops=[1000] + [0] * ATTEMPTS)) as served:
        with pytest.raises(InputError):
            fetch(served, tmp_path / "set.zip")
        served.drops, served.tag, served.files = [], '"two"', {"/data/set.zip": CONTENT[::-1]}
        fetch(served, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("changes", [{"ranges": False}, {"tag": ""}, {"tag": 'W/"weak"'}])
def test_servers_that_cannot_continue_begin_anew(tmp_path: Path, changes: dict) -> None:
    with serve(Served(FILES, drops=[1000], **changes)) as served:
        assert fetch(served, tmp_path / "set.zip") == SHA256


def test_a_partial_file_that_is_whole_is_taken(tmp_path: Path) -> None:
    (tmp_path / "set.zip.partial").write_bytes(CONTENT)
    (tmp_path / "set.zip.partial.version").write_text('"one"')
    with serve(Served(FILES)) as served:
        assert fetch(served, tmp_path / "set.zip") == SHA256  # the server answers 416
        (tmp_path / "set.zip").replace(tmp_path / "set.zip.partial")
        assert fetch(served, tmp_path / "set.zip", size=len(CONTENT)) == SHA256  # nobody has to be asked
    assert served.asked == [f"bytes={len(CONTENT)}-"]


def test_a_partial_file_longer_than_the_servers_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "set.zip.partial").write_bytes(CONTENT + b"more")
    (tmp_path / "set.zip.partial.version").write_text('"one"')
    with serve(Served(FILES)) as served:
        assert fetch(served, tmp_path / "set.zip") == SHA256


def test_busy_servers_are_asked_again(tmp_path: Path) -> None:
    with serve(Served(FILES, statuses=[503, 429])) as served:
        assert fetch(served, tmp_path / "set.zip") == SHA256


def test_servers_that_tell_no_length(tmp_path: Path) -> None:
    with serve(Served(FILES, says_length=False)) as served:
        assert fetch(served, tmp_path / "set.zip", sha256=SHA256) == SHA256


def test_what_is_not_on_record_is_refused_and_removed(tmp_path: Path) -> None:
    with serve(Served(FILES)) as served:
        with pytest.raises(InputError, match=f"has the SHA-256 {SHA256}, {'0' * 64} is on record; it was removed"):
            fetch(served, tmp_path / "set.zip", sha256="0" * 64)
        with pytest.raises(InputError, match=f"file has {len(CONTENT)} bytes, 5 are on record; has it changed"):
            fetch(served, tmp_path / "set.zip", size=5)
        served.says_length = False
        with pytest.raises(InputError, match="sends more than the 5 bytes"):
            fetch(served, tmp_path / "set.zip", size=5)
        with pytest.raises(InputError, match="answers 404 Not Found; see in a browser"):
            fetch(served, tmp_path / "set.zip", path="/gone.zip")
        served.kind = "text/html; charset=utf-8"
        with pytest.raises(InputError, match="sent a web page instead of the file"):
            fetch(served, tmp_path / "set.zip")
    assert not (tmp_path / "set.zip").exists()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "/etc/passwd", "data:text/plain,hi"])
def test_only_the_web_is_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="is no http or https address"):
        download(Wanted(url), tmp_path / "set.zip")
    with serve(Served(FILES, redirect=url)) as served:
        if url.startswith("/"):
            with pytest.raises(InputError):
                fetch(served, tmp_path / "set.zip")
        else:
            with pytest.raises(InputError, match=r"is redirected to .* not followed|is not allowed"):
                fetch(served, tmp_path / "set.zip")
    assert left_behind(tmp_path) == []


def test_a_full_disk_is_told_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**28))
    with serve(Served(FILES)) as served, pytest.raises(InputError, match=r"the disk is full: .* choose another place"):
        fetch(served, tmp_path / "set.zip")
    assert not (tmp_path / "set.zip").exists()


def test_a_disk_that_fills_meanwhile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, *args: object) -> None: ...

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *args: object) -> None: ...

        def write(self, chunk: bytes) -> int:
            raise OSError(28, "No space left on device")

    real = Path.open
    monkeypatch.setattr(
        module.Path, "open", lambda self, mode="r", **rest: Full() if mode == "wb" else real(self, mode, **rest)
    )
    with serve(Served(FILES)) as served, pytest.raises(InputError, match="the disk is full: free some space"):
        fetch(served, tmp_path / "set.zip")
