"""Named arrays and plain values in one file, never a pickle: a stranger's run folder runs no code here."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from sparse3d.core.errors import InputError
from sparse3d.io.atomic import atomic_path

FORMAT_VERSION = 1
META_ENTRY = "__meta__"
MAX_BYTES = 64 * 2**30
"""No stage of ours writes more; an archive that promises more is a bomb."""

_REMEDY = "delete it and run again"


def save_arrays(path: Path, arrays: dict[str, ndarray], meta: dict[str, Any]) -> None:
    """Write arrays and plain values as an uncompressed npz file.

    Args:
        arrays: numbers and booleans by name; no objects.
        meta: what JSON can hold.

    Raises:
        InputError: the file cannot be written.
        ValueError: an array of objects, or the reserved name.
    """
    if META_ENTRY in arrays:
        raise ValueError(f"the array name {META_ENTRY} is reserved")
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"array {name} holds Python objects, which are not saved")
    header = json.dumps({"format": FORMAT_VERSION, "meta": meta}, allow_nan=True)
    content = {META_ENTRY: np.frombuffer(header.encode(), dtype=np.uint8), **arrays}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **content)  # pyright: ignore[reportArgumentType]


def load_arrays(path: Path) -> tuple[dict[str, ndarray], dict[str, Any]]:
    """Read what `save_arrays` wrote.

    Raises:
        InputError: missing, truncated, damaged, with pickled objects inside, or of another format version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise InputError(f"{path}: promises more than {MAX_BYTES >> 30} GiB; {_REMEDY}")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop(META_ENTRY).tobytes().decode())
        version, meta = header["format"], header["meta"]
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib, numpy and json raise many types on damaged files
        raise InputError(f"{path}: is damaged or not a file of ours ({error}); {_REMEDY}") from error
    if version != FORMAT_VERSION or not isinstance(meta, dict):
        raise InputError(f"{path}: has format version {version}, this program reads {FORMAT_VERSION}; {_REMEDY}")
    return arrays, meta
