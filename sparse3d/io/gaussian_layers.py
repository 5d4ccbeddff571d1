"""Figures for each Gaussian that a run folder holds beside `gaussians.ply`: `layers/NAME.npz`, for the viewer to show."""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.errors import InputError
from sparse3d.io.arrays import load_arrays, save_arrays
from sparse3d.io.atomic import clear_write_errors, make_folder

logger = logging.getLogger(__name__)


def write_gaussian_layer(folder: Path, name: str, values: Float[ndarray, " n"]) -> None:
    """Write one figure for each Gaussian, in the order of `gaussians.ply`; NaN where it is not known.

    Args:
        folder: `RunFolder.layers`.
        name: of the layer, as people are to read it; a plain file name.

    Raises:
        InputError: the name is not a file name, or the file cannot be written.
    """
    path = _path(folder, name)
    make_folder(folder)
    save_arrays(path, {"values": values.astype(np.float32)}, {"kind": "gaussian layer"})


def remove_gaussian_layer(folder: Path, name: str) -> None:
    """Take a layer away that no longer fits what else the run holds; it need not exist.

    Args:
        folder: `RunFolder.layers`; need not exist.

    Raises:
        InputError: the name is not a file name, or the file cannot be removed.
    """
    path = _path(folder, name)
    with clear_write_errors(path):
        path.unlink(missing_ok=True)


def read_gaussian_layers(folder: Path, count: int) -> dict[str, Float[ndarray, " n"]]:
    """All layers that fit the Gaussians, by name; what does not fit or is damaged is left out, and the log tells.

    Args:
        folder: `RunFolder.layers`; need not exist.
        count: of the Gaussians.
    """
    layers = {}
    for path in sorted(folder.glob("*.npz")):
        try:
            arrays, _ = load_arrays(path)
        except InputError as error:
            logger.warning("layer %s is left out: %s", path.stem, error)
            continue
        values = arrays.get("values")
        if values is None or values.shape != (count,) or values.dtype.kind not in "fiub":
            logger.warning(
                "layer %s is left out: it does not hold one figure for each of %d Gaussians", path.stem, count
            )
            continue
        layers[path.stem] = values.astype(np.float32)
    return layers


def _path(folder: Path, name: str) -> Path:
    if not name or name.startswith(".") or Path(name).name != name or "\\" in name:
        raise InputError(f"{name!r}: is no name for a layer: use letters, digits and spaces")
    return folder / f"{name}.npz"
