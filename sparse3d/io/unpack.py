"""Unpacking zip and tar archives from elsewhere: nothing leaves the folder, nothing but files and folders, nothing endless."""

import gzip
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from sparse3d.core.errors import InputError
from sparse3d.io.atomic import clear_write_errors, make_folder
from sparse3d.io.download import check_space
from sparse3d.io.safe_paths import safe_join

MAX_BYTES = 256 * 2**30
"""No archive of a data set here holds more; one that claims to is refused."""
MAX_MEMBERS = 1_000_000
CHUNK_BYTES = 1 << 20
IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What operating systems leave in archives."""

_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(EOFError, NotImplementedError, RuntimeError, ValueError),
)


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    open: Callable[[], BufferedIOBase]


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_BYTES) -> list[str]:
    """Unpack a zip or tar archive (gzip, bzip2, xz) into a folder; files already there are replaced, others stay.

    All is unpacked beside its place first, and moved only when the archive was read to its end without complaint.

    Args:
        max_bytes: refuse more, whatever the archive's index says.

    Returns:
        Names of the files, relative to the folder, sorted.

    Raises:
        InputError: no archive, damaged, too large, encrypted, the disk is full, or a member that is a link or a device, or
            whose name leads out of the folder.
    """
    make_folder(folder)
    with clear_write_errors(folder):
        temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        try:
            names = _unpack_into(archive, temporary, max_bytes)
            for name in names:
                _move(temporary / name, folder, name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return names


def _unpack_into(archive: Path, temporary: Path, max_bytes: int) -> list[str]:
    names, left = [], max_bytes
    try:
        with _members(archive) as members:
            for member in members:
                target = safe_join(temporary, member.name, archive)
                if any(part in IGNORED for part in target.relative_to(temporary).parts):
                    continue
                if member.size > left or len(names) >= MAX_MEMBERS:
                    raise InputError(
                        f"{archive}: holds more than {max_bytes} bytes or {MAX_MEMBERS} files; not unpacked"
                    )
                check_space(temporary, member.size)
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as source:
                    left -= _copy(archive, source, target, left)
                names.append(target.relative_to(temporary).as_posix())
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"{archive}: has two members in the same place ({Path(str(error.filename)).name})") from error
    except (*_DAMAGE, OSError) as error:
        refused = isinstance(error, OSError) and error.errno is not None  # by the system; bzip2's damage has no number
        if isinstance(error, InputError) or refused:
            raise
        raise InputError(
            f"{archive}: is damaged, encrypted or no zip or tar archive ({error}); remove it and fetch it again"
        ) from error
    return sorted(names)


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    """The files of an archive; anything but files and folders is refused."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            yield _zip_members(archive, file)
    elif archive.is_file():
        with tarfile.open(archive) as file:
            yield _tar_members(archive, file)
    else:
        raise InputError(f"{archive}: no such file")


def _zip_members(archive: Path, file: zipfile.ZipFile) -> Iterator[_Member]:
    for info in file.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{archive}: {info.filename!r} is a link or a device; such archives are not unpacked")
        if not info.is_dir():
            yield _Member(info.filename, info.file_size, lambda info=info: cast(BufferedIOBase, file.open(info)))


def _tar_members(archive: Path, file: tarfile.TarFile) -> Iterator[_Member]:
    for info in file:
        if info.isdir():
            continue
        if not info.isreg():
            raise InputError(f"{archive}: {info.name!r} is a link or a device; such archives are not unpacked")
        yield _Member(info.name, info.size, lambda info=info: _opened(file, info))


def _opened(file: tarfile.TarFile, info: tarfile.TarInfo) -> BufferedIOBase:
    content = file.extractfile(info)
    if not isinstance(content, BufferedIOBase):
        raise tarfile.TarError(f"{info.name} has no content")
    return content


def _copy(archive: Path, source: BufferedIOBase, target: Path, left: int) -> int:
    """Bytes copied; counted here, since an index may lie."""
    copied = 0
    with target.open("xb") as file:
        while chunk := source.read(CHUNK_BYTES):
            copied += len(chunk)
            if copied > left:
                raise InputError(f"{archive}: unpacks to more than it says or may; not unpacked")
            file.write(chunk)
    return copied


def _move(source: Path, folder: Path, name: str) -> None:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{target.parent}: is a link out of {folder}; remove it, or choose another place with --out")
    source.replace(target)
