"""JSON files: read with a limit and clear messages, written atomically and in valid JSON."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparse3d.core.errors import InputError
from sparse3d.io.atomic import atomic_write_text

MAX_BYTES = 64 * 2**20
"""A camera takes under 2 kB: a larger file is not a file of cameras or settings."""


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file whose top level is an object.

    Raises:
        InputError: missing, a folder, unreasonably large, not UTF-8, no JSON, or no object.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, a JSON file is needed here")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: {path.stat().st_size / 2**20:.0f} MB is too large for a file of cameras or settings")
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}); is it complete?") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: is JSON but not an object {{...}}; is it the right file?")
    return document


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON; numbers that are not finite, which JSON cannot hold, become null.

    Raises:
        InputError: the file cannot be written.
    """
    atomic_write_text(Path(path), json.dumps(_finite(value), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
