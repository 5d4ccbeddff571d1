"""Peers that are programs of their own: what they are started on, and how."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sparse3d.bench.materials import Material
from sparse3d.bench.methods.colmap import model_of_pycolmap
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.io.colmap import write_colmap
from sparse3d.io.known_cameras import read_known_cameras
from sparse3d.io.photos import load_photos
from sparse3d.priors.stereo.cameras import estimate_cameras
from sparse3d.priors.stereo.config import CameraConfig

SHOWN_LINES = 3
"""Of a failed program's output, in the reason."""
LEAST_POINTS = 10
"""With fewer there is nothing that Gaussians could start from."""


def write_colmap_project(material: Material, folder: Path) -> tuple[Cameras, tuple[tuple[str, str], ...]]:
    """`images/` and `sparse/0` as 3DGS trainers take them: the cameras that the peer works with, and points to start from.

    Posed: the true cameras, with the points that our SIFT matches triangulate in them. Unposed: COLMAP's own cameras and
    points (SIFT, incremental mapper), which is what these trainers' users have.

    Returns:
        The cameras, and (photo, reason) of the photos without one.

    Raises:
        InputError: COLMAP makes no model, or too few points are found.
    """
    images = load_photos(material.photos)
    if material.known is None:
        cameras, points = model_of_pycolmap(images, "sift", seed=material.seed)
    else:
        known = read_known_cameras(material.known, images)
        prior = estimate_cameras(images, known, CameraConfig(), seed=material.seed)
        cameras, points = prior.cameras, prior.points
    if len(points.points) < LEAST_POINTS:
        raise InputError(f"only {len(points.points)} points were found to start from, need {LEAST_POINTS}")
    shutil.copytree(material.photos, folder / "images")
    write_colmap(folder / "sparse" / "0", cameras, points)
    unplaced = tuple((n, "COLMAP's largest model is without it") for n in images.names if n not in cameras.names)
    return cameras, unplaced


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
