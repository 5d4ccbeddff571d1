"""OpenSplat, a 3DGS trainer in C++ for CPUs and GPUs: its own program, on a COLMAP project that we write."""

import subprocess
from functools import partial
from pathlib import Path

from sparse3d.bench.materials import Material
from sparse3d.bench.methods.commands import find_program, run_program, write_colmap_project
from sparse3d.bench.methods.interface import Method, Outcome, Provided, as_reconstruction
from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.io.ply import read_gaussians_ply

VARIABLE = "SPARSE3D_OPENSPLAT"
ITERATIONS = 2000
"""Its README's own example."""
KEEP_WORLD = "--keep-crs"
"""Without it OpenSplat centres and scales the scene, and its Gaussians fit our cameras no more."""


def opensplat(argument: str) -> Method:
    """`opensplat`, or `opensplat:ITERATIONS`.

    Raises:
        InputError: the argument is no number.
    """
    if argument and not argument[1:].isdigit():
        raise InputError(
            f"no method opensplat{argument}: give the number of iterations, such as opensplat:{ITERATIONS}"
        )
    iterations = int(argument[1:]) if argument else ITERATIONS
    label = "opensplat" if not argument else f"opensplat {iterations}"
    return Method(label, {"iterations": iterations}, partial(_run, iterations))


def _run(iterations: int, material: Material) -> Outcome:
    program = _program()
    project = material.folder / "project"
    cameras, unplaced = write_colmap_project(material, project)
    result = material.folder / "opensplat.ply"
    command = [program, project, "-n", str(iterations), "-o", result, KEEP_WORLD]
    run_program(command, material.folder / "opensplat.log")
    provided = Provided("opensplat", material.seed, unplaced)
    return Outcome(as_reconstruction(cameras, read_gaussians_ply(result), provided))


def _program() -> Path:
    program = find_program("opensplat", VARIABLE)
    if program is None:
        raise MissingDependency(f"opensplat is neither on PATH nor named by {VARIABLE}; build it from its source")
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    if KEEP_WORLD not in shown.stdout + shown.stderr:
        raise MissingDependency(f"{program.name} does not know {KEEP_WORLD}; build version 1.1 or later")
    return program
