"""Archives from elsewhere: what is sound is unpacked, and nothing of what is malicious or damaged."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sparse3d.core.errors import InputError
from sparse3d.io.unpack import unpack

FILES = {"set/images/a.jpg": b"a" * 1000, "set/b.txt": b"b"}


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


Pack = Callable[[Path, Mapping[str, bytes]], Path]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_sound_archives(tmp_path: Path, pack: Pack) -> None:
    junk = {"__MACOSX/set/._a.jpg": b"", "set/.DS_Store": b""}
    archive = pack(tmp_path / "archive", FILES | junk)
    (tmp_path / "out" / "set").mkdir(parents=True)
    (tmp_path / "out" / "set" / "b.txt").write_text("old")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert unpack(archive, tmp_path / "out") == sorted(FILES)
    assert contents(tmp_path / "out") == FILES | {"mine.txt": b"mine"}
    assert unpack(archive, tmp_path / "out") == sorted(FILES)


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "set/../../evil", "C:/evil", "C:evil", "..\\evil", "set\\evil", "\\\\host\\evil"]
)
def test_names_that_lead_out(tmp_path: Path, pack: Pack, name: str) -> None:
    archive = pack(tmp_path / "archive", FILES | {name: b"x"})
    with pytest.raises(InputError, match="leads out of its folder"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "out"]


def test_links_and_devices_in_a_zip(tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO):
        with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
            info = zipfile.ZipInfo("set/link")
            info.external_attr = (kind | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
            archive.writestr("set/link/x", b"x")
        with pytest.raises(InputError, match="is a link or a device"):
            unpack(tmp_path / "archive", tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "archive", "w") as archive:
        info = tarfile.TarInfo("set/link")
        info.type, info.linkname = kind, "/etc"
        archive.addfile(info)
    with pytest.raises(InputError, match="is a link or a device"):
        unpack(tmp_path / "archive", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_more_than_is_allowed(tmp_path: Path, pack: Pack) -> None:
    archive = pack(tmp_path / "archive", {"a": b"\0" * 600, "b": b"\0" * 600})
    with pytest.raises(InputError, match="holds more than 1000 bytes"):
        unpack(archive, tmp_path / "out", max_bytes=1000)
    assert unpack(archive, tmp_path / "out", max_bytes=1200) == ["a", "b"]


def test_an_index_that_lies_about_sizes(tmp_path: Path) -> None:
    """A zip whose index says 10 bytes for a member that unpacks to a megabyte."""
    archive = zipped(tmp_path / "archive", {"bomb": b"\0" * 2**20})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((2**20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"is damaged|unpacks to more"):
        unpack(archive, tmp_path / "out", max_bytes=1000)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_two_members_in_one_place(tmp_path: Path, pack: Pack) -> None:
    for files in ({"set/b.txt": b"b", "set/b.txt/c": b"c"}, {"set/b.txt/c": b"c", "set/b.txt": b"b"}):
        with pytest.raises(InputError, match="two members in the same place"):
            unpack(pack(tmp_path / "archive", files), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_damage_leaves_nothing(tmp_path: Path, pack: Pack) -> None:
    noise = bytes((i * i * 31 + i // 7) % 251 for i in range(200_000))
    whole = pack(tmp_path / "archive", {"a": noise, "b": noise}).read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 3] ^= 0xFF
    for content in (whole[: len(whole) // 2], bytes(broken), b"<html>not here</html>", b""):
        (tmp_path / "archive").write_bytes(content)
        with pytest.raises(InputError, match="is damaged, encrypted or no zip or tar archive"):
            unpack(tmp_path / "archive", tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(InputError, match="no such file"):
        unpack(tmp_path / "nowhere", tmp_path / "out")


def test_links_in_the_users_folder_are_not_followed_out(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "set").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link out of"):
        unpack(zipped(tmp_path / "archive", {"set/b.txt": b"b"}), tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []
