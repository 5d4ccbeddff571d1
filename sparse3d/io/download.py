"""Fetching one large file over HTTP: resumed where it stopped, checked, and in place only when it is whole."""

import hashlib
import http.client
import logging
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sparse3d.core.errors import InputError
from sparse3d.io.atomic import clear_write_errors, make_folder

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0
ATTEMPTS = 5
"""Dropped connections in a row, without a byte in between, until the download is given up."""
FIRST_PAUSE_S = 1.0
"""Before the second attempt; doubled before each further one."""
DISK_RESERVE_BYTES = 256 * 2**20
"""What is left free on the disk: a machine without any space does worse things than to stop a download."""

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and those in all where known."""


@dataclass(frozen=True)
class Wanted:
    """A file to fetch.

    Attributes:
        url: http or https.
        sha256: hexadecimal, None where nobody has recorded it.
        size: in bytes, None where unknown.
    """

    url: str
    sha256: str | None = None
    size: int | None = None


class _Dropped(Exception):
    """The connection broke; what has arrived is kept."""


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone, and never from https down to http."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in ("http", "https") or (before == "https" and after == "http"):
            raise InputError(f"{req.full_url}: is redirected to {newurl}, which is not followed; fetch it by hand")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    wanted: Wanted, target: Path, *, on_progress: OnProgress | None = None, pause_s: float = FIRST_PAUSE_S
) -> str:
    """Fetch a file to `target`, unless it is there and fits what is on record.

    What is there of an earlier attempt (`target` with the suffix .partial) is kept and continued, unless the server's file
    has changed since.

    Args:
        pause_s: before the second attempt after a dropped connection.

    Returns:
        The SHA-256 of the file, hexadecimal.

    Raises:
        InputError: the address or the server refuses, the connection keeps breaking, the disk is full, or size or SHA-256
            are not what they should be (then nothing is kept).
    """
    if urlsplit(wanted.url).scheme not in ("http", "https"):
        raise InputError(f"{wanted.url}: is no http or https address")
    if target.is_file() and _difference(wanted, target, found := _sha256(target)) is None:
        return found
    make_folder(target.parent)
    partial, version = target.with_name(target.name + ".partial"), target.with_name(target.name + ".partial.version")
    with clear_write_errors(partial):
        _fetch_all(wanted, partial, version, on_progress, pause_s)
        found = _sha256(partial)
        wrong = _difference(wanted, partial, found)
        if wrong is not None:
            partial.unlink()
            version.unlink(missing_ok=True)
            raise InputError(
                f"{wanted.url}: what arrived {wrong}; it was removed: try again, or see whether the file changed"
            )
        partial.replace(target)
        version.unlink(missing_ok=True)
    return found


def _fetch_all(wanted: Wanted, partial: Path, version: Path, on_progress: OnProgress | None, pause_s: float) -> None:
    """Attempts until the file is whole."""
    failures = 0
    while True:
        before = _size(partial)
        try:
            return _fetch(wanted, partial, version, on_progress)
        except _Dropped as error:
            failures = 1 if _size(partial) > before else failures + 1
            if failures >= ATTEMPTS:
                raise InputError(
                    f"{wanted.url}: the connection broke {failures} times in a row ({error}); {_size(partial)} bytes are "
                    f"kept in {partial}: start again to continue from there"
                ) from error
            logger.info("%s: %s; going on from byte %d", wanted.url, error, _size(partial))
            time.sleep(pause_s * 2 ** (failures - 1))


def _fetch(wanted: Wanted, partial: Path, version: Path, on_progress: OnProgress | None) -> None:
    """One request, from where the partial file ends."""
    have = _size(partial)
    if wanted.size is not None and have == wanted.size:
        return
    headers = {"User-Agent": "sparse3d", "Accept-Encoding": "identity"}
    known = version.read_text() if version.is_file() else ""
    if have and known:
        headers |= {"Range": f"bytes={have}-", "If-Range": known}
    try:
        with urllib.request.build_opener(_HttpOnly).open(
            urllib.request.Request(wanted.url, headers=headers), timeout=TIMEOUT_S
        ) as response:
            resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if response.status == 206 and not resumed:
                raise InputError(f"{wanted.url}: the server sent another part than asked for; remove {partial}")
            total = _total(wanted, response.headers, have if resumed else 0)
            if not resumed:
                version.write_text(_version(response.headers))
            _receive(wanted, response, partial, total, append=resumed, on_progress=on_progress)
    except urllib.error.HTTPError as error:
        _refuse(wanted, error, partial, have)
    except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError) as error:
        raise _Dropped(str(error) or type(error).__name__) from error


def _version(headers: http.client.HTTPMessage) -> str:
    """What tells by `If-Range` that the server's file is still the same; weak tags do not."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _total(wanted: Wanted, headers: http.client.HTTPMessage, have: int) -> int | None:
    """Bytes of the whole file, where the server tells; checked against what is wanted, and against a web page."""
    if headers.get_content_type() == "text/html":
        raise InputError(
            f"{wanted.url}: the server sent a web page instead of the file; open the address in a browser, it may ask for "
            "something first"
        )
    length = headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else None
    if total is not None and wanted.size is not None and total != wanted.size:
        raise InputError(
            f"{wanted.url}: the server's file has {total} bytes, {wanted.size} are on record; has it changed?"
        )
    return total


def _receive(
    wanted: Wanted,
    response: http.client.HTTPResponse,
    partial: Path,
    total: int | None,
    *,
    append: bool,
    on_progress: OnProgress | None,
) -> None:
    have = _size(partial) if append else 0
    limit = wanted.size if wanted.size is not None else total
    if limit is not None:
        check_space(partial.parent, limit - have)
    with partial.open("ab" if append else "wb") as file:
        while chunk := response.read(CHUNK_BYTES):
            have += len(chunk)
            if limit is not None and have > limit:
                raise InputError(f"{wanted.url}: the server sends more than the {limit} bytes that there should be")
            if limit is None:
                check_space(partial.parent, len(chunk))
            file.write(chunk)
            if on_progress is not None:
                on_progress(have, limit)
    if limit is not None and have < limit:
        raise _Dropped(f"{have} of {limit} bytes arrived")


def check_space(folder: Path, needed: int) -> None:
    """Refuse to begin what does not fit on the disk.

    Raises:
        InputError: fewer bytes are free than needed and the reserve; the message gives both.
    """
    free = shutil.disk_usage(folder).free
    if needed + DISK_RESERVE_BYTES > free:
        raise InputError(
            f"{folder}: the disk is full: {_gib(needed)} are needed beside a reserve of {_gib(DISK_RESERVE_BYTES)}, "
            f"{_gib(free)} are free: free some space, or choose another place with --out"
        )


def _refuse(wanted: Wanted, error: urllib.error.HTTPError, partial: Path, have: int) -> None:
    """What a status other than success means."""
    if error.code in (408, 429, 500, 502, 503, 504):
        raise _Dropped(f"the server answers {error.code} {error.reason}") from error
    if error.code == 416:  # nothing after what is there: it is whole, or not the server's any more
        if error.headers.get("Content-Range", "") == f"bytes */{have}":
            return
        partial.unlink(missing_ok=True)
        raise _Dropped("the server's file is shorter than what was there; beginning anew") from error
    raise InputError(
        f"{wanted.url}: the server answers {error.code} {error.reason}; see in a browser where the file is now"
    ) from error


def _difference(wanted: Wanted, path: Path, sha256: str) -> str | None:
    """How a file differs from what is on record, as the end of a sentence; None where it does not."""
    if wanted.size is not None and _size(path) != wanted.size:
        return f"has {_size(path)} bytes, {wanted.size} are on record"
    if wanted.sha256 is not None and sha256 != wanted.sha256.lower():
        return f"has the SHA-256 {sha256}, {wanted.sha256.lower()} is on record"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _gib(count: int) -> str:
    return f"{max(count, 0) / 2**30:.2f} GiB"
