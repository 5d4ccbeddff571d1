"""Writing files so that a crash, a full disk or Ctrl-C never leaves half of one behind."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparse3d.core.errors import InputError

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space, or choose another place with --out",
    errno.EDQUOT: "your disk quota is used up: free some space, or choose another place with --out",
    errno.EFBIG: "the file is too large for this file system: choose another place with --out",
    errno.EACCES: "no permission to write there: choose another place with --out, or change the permissions",
    errno.EPERM: "no permission to write there: choose another place with --out, or change the permissions",
    errno.EROFS: "the file system is read-only: choose another place with --out",
    errno.ENAMETOOLONG: "the name is too long: rename the photo, or choose a shorter path",
    errno.ENOTDIR: "a part of the path is a file and not a folder: choose another place with --out",
    errno.EEXIST: "a file stands where a folder is needed: move it away, or choose another place with --out",
    errno.EISDIR: "a folder stands where a file is to be written: move it away, or choose another place with --out",
}


@contextmanager
def clear_write_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into an `InputError` that names the path and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0)
        if remedy is None:
            raise
        raise InputError(f"{path}: cannot write: {remedy} ({error.strerror})") from error


def make_folder(path: Path) -> Path:
    """Create a folder and those above it, where missing.

    Raises:
        InputError: it cannot be created; the message names the remedy.
    """
    with clear_write_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix; what was written there takes `path`'s place at the end.

    The folder is created where missing. On any error, the temporary file goes and `path` stays as it was.

    Raises:
        InputError: the disk is full, there is no permission, and the like.
    """
    path = Path(path)
    with clear_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{secrets.token_hex(6)}.partial{path.suffix}")
        try:
            yield temporary
            _flush_to_disk(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def atomic_write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; errors as in `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def atomic_write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file atomically; errors as in `atomic_path`."""
    atomic_write_bytes(path, content.encode())


def _flush_to_disk(path: Path) -> None:
    # Opened for writing since Windows refuses to flush a handle that only reads.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
