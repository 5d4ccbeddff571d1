"""sparse3d: a folder of 2 to 24 photos becomes cameras, 3D Gaussians, depth and an honest report.

import sparse3d

scene = sparse3d.reconstruct("photos", out="run")
print(scene.cameras.names, len(scene.gaussians))
"""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

# Before torch is imported: OpenMP threads that spin while they wait take the cores from the rasteriser's own threads. A
# training iteration on two busy cores took nine times the processor time without this.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from sparse3d.eval.evaluate import evaluate
    from sparse3d.io.run_folder import read_reconstruction
    from sparse3d.pipeline.reconstruct import reconstruct
    from sparse3d.render.rasterise import rasterise

try:
    __version__ = version("sparse3d")
except PackageNotFoundError:
    __version__ = "0+unknown"

_HOMES = {
    "reconstruct": "sparse3d.pipeline.reconstruct",
    "read_reconstruction": "sparse3d.io.run_folder",
    "rasterise": "sparse3d.render.rasterise",
    "evaluate": "sparse3d.eval.evaluate",
}

__all__ = ["evaluate", "rasterise", "read_reconstruction", "reconstruct"]


def __getattr__(name: str):
    """Load the few public functions when they are asked for: importing torch takes seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sparse3d' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
