"""Peers that are programs of their own: what they are started on, and how."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sparse3d.bench.materials import Material
from sparse3d.bench.methods.sparse_start import sparse_start
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.io.colmap import write_colmap
from sparse3d.io.photos import load_photos

SHOWN_LINES = 3
"""Of a failed program's output, in the reason."""


def write_colmap_project(material: Material, folder: Path) -> tuple[Cameras, tuple[tuple[str, str], ...]]:
    """`images/` and `sparse/0` as 3DGS trainers take them: the cameras that the peer works with, and points to start from.

    Returns:
        The cameras, and (photo, reason) of the photos without one.

    Raises:
        InputError: as `sparse_start`.
    """
    start = sparse_start(material, load_photos(material.photos))
    shutil.copytree(material.photos, folder / "images")
    write_colmap(folder / "sparse" / "0", start.cameras, start.points)
    return start.cameras, start.unplaced


def run_program(command: Sequence[str | Path], log: Path, *, folder: Path | None = None) -> None:
    """Run a program to its end, its output into a file.

    Raises:
        InputError: it ends with an error; the message has the last lines of its output.
    """
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [str(word) for word in command], stdout=output, stderr=subprocess.STDOUT, cwd=folder, check=False
        )
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-SHOWN_LINES:]
        raise InputError(f"{Path(command[0]).name} ended with code {done.returncode}: {' | '.join(lines)}")


def find_program(name: str, variable: str) -> Path | None:
    """The file that an environment variable names, else the program on PATH; None where neither is there."""
    named = os.environ.get(variable) or shutil.which(name)
    return Path(named) if named and Path(named).is_file() else None
