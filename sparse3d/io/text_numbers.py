"""Text files of numbers, as calibrations come in."""

import math
from pathlib import Path

from sparse3d.core.errors import InputError

MAX_BYTES = 64 * 2**20
"""Calibrations and trajectories are a few kilobytes to a megabyte: a larger file is another one."""


def read_number_rows(path: Path, *, skip_lines: int = 0) -> list[list[float]]:
    """The numbers of every line that is not empty.

    Args:
        skip_lines: at the top, whatever they hold.

    Raises:
        InputError: missing, too large, no text, or something else than finite numbers in it; the message names the line.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: {path.stat().st_size / 2**20:.0f} MB is too large for a file of cameras")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    rows = []
    for number, line in enumerate(lines[skip_lines:], start=skip_lines + 1):
        try:
            row = [float(word) for word in line.split()]
        except ValueError as error:
            raise InputError(
                f"{path}: line {number} is not a row of numbers ({error}); is the file complete?"
            ) from error
        if not all(map(math.isfinite, row)):
            raise InputError(f"{path}: line {number} holds NaN or infinity")
        if row:
            rows.append(row)
    return rows
