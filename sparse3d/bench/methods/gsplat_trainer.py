"""gsplat's own 3DGS trainer, which its source carries and its wheel does not, on a COLMAP project that we write."""

import os
import shutil
import sys
from functools import partial
from pathlib import Path

import torch

from sparse3d.bench.materials import Material
from sparse3d.bench.methods.commands import run_program, write_colmap_project
from sparse3d.bench.methods.interface import Method, Outcome, Provided, as_reconstruction
from sparse3d.core.cameras import concatenate
from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.io.colmap import read_colmap, write_colmap
from sparse3d.io.ply import read_gaussians_ply
from sparse3d.render.gsplat import load_gsplat

VARIABLE = "SPARSE3D_GSPLAT_TRAINER"
ITERATIONS = 7000
"""The first of the two numbers that the trainer itself evaluates at; few photos are memorised long before 30,000."""
SPARE = "000000_spare"
"""Sorts before every photo: the trainer keeps every n-th photo, the first one always, from training."""
NEVER = 1_000_000
"""As the trainer's `test_every`: no other photo is kept from training."""


def gsplat(argument: str) -> Method:
    """`gsplat`, or `gsplat:ITERATIONS`.

    Raises:
        InputError: the argument is no number.
    """
    if argument and not argument[1:].isdigit():
        raise InputError(f"no method gsplat{argument}: give the number of iterations, such as gsplat:{ITERATIONS}")
    iterations = int(argument[1:]) if argument else ITERATIONS
    label = "gsplat" if not argument else f"gsplat {iterations}"
    return Method(label, {"iterations": iterations}, partial(_run, iterations), gpu=True)


def _run(iterations: int, material: Material) -> Outcome:
    trainer = _trainer()
    project = material.folder / "project"
    cameras, unplaced = write_colmap_project(material, project)
    _add_spare(project)
    result = material.folder / "gsplat"
    command = [sys.executable, trainer, "default", "--disable-viewer", "--disable-video", "--save-ply"]
    command += ["--data-dir", project, "--data-factor", "1", "--test-every", str(NEVER), "--no-normalize-world-space"]
    command += ["--max-steps", str(iterations), "--ply-steps", str(iterations), "--result-dir", result]
    command += ["--eval-steps", "-1", "--save-steps", "-1"]
    run_program(command, material.folder / "gsplat.log", folder=trainer.parent)
    files = sorted((result / "ply").glob("*.ply"))
    if not files:
        raise InputError(f"{trainer.name} left no PLY file: it may be of another version than gsplat 1.5")
    provided = Provided("gsplat", material.seed, unplaced)
    return Outcome(as_reconstruction(cameras, read_gaussians_ply(files[-1]), provided))


def _trainer() -> Path:
    load_gsplat()
    if not torch.cuda.is_available():
        raise MissingDependency("gsplat trains on NVIDIA GPUs alone, and torch finds none")
    named = os.environ.get(VARIABLE)
    if not named or not Path(named).is_file():
        raise MissingDependency(
            f"gsplat's wheel does not carry its trainer: set {VARIABLE} to examples/simple_trainer.py of its source, "
            "and install what examples/requirements.txt lists"
        )
    return Path(named)


def _add_spare(project: Path) -> None:
    """A copy of the first photo under a name that sorts first, for the trainer to keep from training."""
    model = project / "sparse" / "0"
    cameras, points = read_colmap(model)
    first = cameras.names[0]
    spare = SPARE + Path(first).suffix
    shutil.copyfile(project / "images" / first, project / "images" / spare)
    write_colmap(model, concatenate([cameras, cameras.select([0]).replace(names=(spare,))]), points)
