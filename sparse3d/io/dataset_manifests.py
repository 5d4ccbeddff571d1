"""Where the data sets of the literature come from: their manifests (`scenes/datasets/NAME.toml`), and fetching them.

A manifest holds `name`, `title`, `homepage`, `paper`, `licence` and `layout` (of the folder that results); one table
`[[archives]]` for each file that can be fetched, with `url`, `sha256` and `bytes`; and `by_hand`: what cannot be fetched
by a program, and what to do instead. A checksum or a size that nobody has verified is "unknown", in words; it is never
guessed.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from sparse3d.core.errors import InputError
from sparse3d.io.download import OnProgress, Wanted, download
from sparse3d.io.json_files import read_json_object, write_json
from sparse3d.io.scenes import scenes_root
from sparse3d.io.unpack import unpack

FOLDER = "datasets"
UNKNOWN = "unknown"
RECORD = "sparse3d-dataset.json"
"""In the folder of a data set: which archives were unpacked there, so that they are not fetched twice."""

_TEXTS = ("name", "title", "homepage", "paper", "licence", "layout")


@dataclass(frozen=True)
class DatasetManifest:
    """What is known of a data set; `by_hand` is empty where everything can be fetched."""

    name: str
    title: str
    homepage: str
    paper: str
    licence: str
    layout: str
    archives: tuple[Wanted, ...]
    by_hand: str


def list_datasets() -> list[str]:
    """Names of the data sets that have a manifest, sorted.

    Raises:
        InputError: the folder of sample scenes is not there.
    """
    return sorted(path.stem for path in (scenes_root() / FOLDER).glob("*.toml"))


def load_dataset_manifest(name: str) -> DatasetManifest:
    """Read a manifest by the name of its data set.

    Raises:
        InputError: no such data set, or its manifest is malformed.
    """
    if name not in list_datasets():
        raise InputError(f"no data set {name!r}: there are {', '.join(list_datasets())}")
    return read_dataset_manifest(scenes_root() / FOLDER / f"{name}.toml")


def read_dataset_manifest(path: Path) -> DatasetManifest:
    """Read a manifest file.

    Raises:
        InputError: missing or malformed; the message names the field.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        by_hand = fields.pop("by_hand", "")
        archives = tuple(_archive(path, entry) for entry in fields.pop("archives", []))
        texts = {key: fields.pop(key) for key in _TEXTS}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a manifest of a data set: {type(error).__name__}: {error}") from error
    if fields or not all(isinstance(value, str) and value for value in (*texts.values(), by_hand or "-")):
        raise InputError(
            f"{path}: {', '.join(fields) or 'a field'} is not of a manifest; fields are texts: {_TEXTS}, by_hand"
        )
    if not archives and not by_hand:
        raise InputError(f"{path}: has neither [[archives]] nor by_hand")
    return DatasetManifest(**texts, archives=archives, by_hand=by_hand)


def fetch_dataset(
    manifest: DatasetManifest,
    folder: Path,
    *,
    say: Callable[[str], None],
    on_progress: OnProgress | None = None,
) -> None:
    """Fetch, check and unpack all archives of a data set into a folder; those unpacked before are not fetched again.

    Args:
        say: told in a sentence what is done, what checksum was found, and what is left to do by hand.

    Raises:
        InputError: nothing of the data set can be fetched by a program (the message says what to do), or as in `download`
            and `unpack`.
    """
    if not manifest.archives:
        raise InputError(f"{manifest.name} cannot be fetched by a program. {manifest.by_hand}")
    record = folder / RECORD
    done = read_json_object(record) if record.is_file() else {}
    for archive in manifest.archives:
        if archive.url in done:
            say(f"{archive.url}: unpacked before (remove {record} to fetch it again)")
            continue
        file = folder / _file_name(archive.url)
        say(f"{archive.url}: fetching")
        sha256 = download(archive, file, on_progress=on_progress)
        say(_about_checksum(archive, file, sha256))
        names = unpack(file, folder)
        done[archive.url] = {"sha256": sha256, "bytes": file.stat().st_size, "files": len(names)}
        write_json(record, done)
        file.unlink()
        say(f"{file.name}: {len(names)} files in {folder}; the archive was removed")
    say(f"licence: {manifest.licence}")
    say(f"layout: {manifest.layout}")
    if manifest.by_hand:
        say(f"by hand: {manifest.by_hand}")


def _about_checksum(archive: Wanted, file: Path, sha256: str) -> str:
    if archive.sha256 is not None:
        return f"{file.name}: SHA-256 as on record"
    return f"{file.name}: no checksum is on record, so that nothing was compared; found SHA-256 {sha256}"


def _archive(path: Path, entry: dict) -> Wanted:
    url, sha256, size = entry["url"], entry["sha256"], entry["bytes"]
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https") or not _file_name(url):
        raise InputError(f"{path}: {url!r} is no http or https address of a file")
    if sha256 != UNKNOWN and not (isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)):
        raise InputError(f"{path}: sha256 of {url} is neither 64 hexadecimal digits nor {UNKNOWN!r}")
    if size != UNKNOWN and not (isinstance(size, int) and size > 0):
        raise InputError(f"{path}: bytes of {url} is neither a number nor {UNKNOWN!r}")
    return Wanted(url, None if sha256 == UNKNOWN else sha256, None if size == UNKNOWN else size)


def _file_name(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).name
