"""A run folder as the viewer wants it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sparse3d.core.coverage import Coverage
from sparse3d.core.errors import InputError
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.io.colmap import read_colmap
from sparse3d.io.coverage_json import read_coverage
from sparse3d.io.gaussian_layers import read_gaussian_layers
from sparse3d.io.image_files import read_image
from sparse3d.io.json_files import read_json_object
from sparse3d.io.run_folder import RunFolder, read_reconstruction
from sparse3d_viewer.layers import layer_title

log = logging.getLogger(__name__)

THUMBNAIL_PX = 320
"""Longer side of the photos on the page: as wide as the panel; 24 of them are half a megabyte."""


@dataclass(frozen=True)
class LoadedRun:
    """What of a run folder goes onto the page.

    Attributes:
        title: the folder's own name, without those above it.
        reconstruction: cameras and Gaussians.
        thumbnails: by photo name; photos that the run kept no copy of are missing.
        points: positions (n 3) and colours (n 3) of the sparse points; None where there are none.
        metrics: the few figures that the panel shows, by their names in words; empty where nothing was measured.
        layers: figures (n) for each Gaussian that the run folder holds, by name (`io.gaussian_layers`).
        coverage: what the photos cover and where the next ones should be taken; None where the run does not tell.
        folder: where photos, renderings, depth and mesh are read from when they are asked for; None for what is in
            memory only.
    """

    title: str
    reconstruction: Reconstruction
    thumbnails: dict[str, NDArray[np.uint8]]
    points: tuple[NDArray[np.float64], NDArray[np.uint8]] | None = None
    metrics: dict[str, object] = field(default_factory=dict)
    layers: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    coverage: Coverage | None = None
    folder: RunFolder | None = None


def load_run(path: Path) -> LoadedRun:
    """Read a run folder. What is there only for convenience may be missing or damaged; the log tells.

    Raises:
        InputError: the folder holds no finished reconstruction.
    """
    reconstruction = read_reconstruction(path)
    run = RunFolder.open(path)
    thumbnails = {}
    for name in reconstruction.cameras.names:
        try:
            thumbnails[name] = shrink(read_image(run.photo(name)))
        except InputError as error:
            log.warning("no small picture of %s: %s", name, error)
    metrics = quality(*(read_json_object(f) if f.is_file() else {} for f in (run.evaluation, run.metrics)))
    return LoadedRun(
        title=run.root.resolve().name,
        reconstruction=reconstruction,
        thumbnails=thumbnails,
        points=_read_points(run),
        metrics=metrics,
        layers={layer_title(n): v for n, v in read_gaussian_layers(run.layers, len(reconstruction.gaussians)).items()},
        coverage=_read_coverage(run),
        folder=run,
    )


def shrink(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy whose longer side has at most `THUMBNAIL_PX` pixels."""
    image = Image.fromarray(picture)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    return np.asarray(image)


def quality(evaluation: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, object]:
    """The figures for the panel, from what `sparse3d evaluate` measured and from the run's own metrics.

    Held-out views come first: the fit to the photos that the scene was made from flatters, and its name says so.
    """
    sources = [
        ("held-out PSNR (dB)", evaluation, ("held_out", "aligned", "psnr")),
        ("held-out SSIM", evaluation, ("held_out", "aligned", "ssim")),
        ("held-out PSNR, pose refined (dB)", evaluation, ("held_out", "refined", "psnr")),
        ("camera rotation error, median (°)", evaluation, ("poses", "rotation_deg_median")),
        ("camera position error, relative", evaluation, ("poses", "ate_relative")),
        ("PSNR of the photos used (dB)", metrics, ("psnr",)),
        ("SSIM of the photos used", metrics, ("ssim",)),
    ]
    found = {name: _look_up(document, keys) for name, document, keys in sources}
    return {name: value for name, value in found.items() if value is not None}


def _look_up(document: Mapping[str, Any], keys: tuple[str, ...]) -> float | None:
    value: Any = document
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None


def _read_coverage(run: RunFolder) -> Coverage | None:
    if not run.coverage.is_file():
        return None  # a run of an earlier version
    try:
        return read_coverage(run.coverage)
    except InputError as error:
        log.warning("no places for next photos: %s", error)
        return None


def _read_points(run: RunFolder) -> tuple[NDArray[np.float64], NDArray[np.uint8]] | None:
    try:
        _, points = read_colmap(run.colmap)
    except InputError as error:
        log.warning("no sparse points: %s", error)
        return None
    if len(points.points) == 0:
        return None
    colours = (255 * points.colours.clamp(0, 1)).round().byte().numpy()
    return points.points.double().numpy(), colours
