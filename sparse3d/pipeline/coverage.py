"""The stage after the optimisation: what the photos cover, written for people, programs and the viewer."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.coverage import Coverage, GaussianCoverage
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.coverage.analyse import analyse
from sparse3d.eval.render_views import options_for
from sparse3d.io.coverage_json import write_coverage
from sparse3d.io.gaussian_layers import write_gaussian_layer
from sparse3d.io.image_files import to_bytes
from sparse3d.io.run_folder import RunFolder
from sparse3d.render.rasterise import RenderOptions, rasterise

PICTURE_PX = 400
"""Longer side of the pictures from the recommended places."""

GUESSED = (240, 140, 0)
"""What no photo saw is tinted so, as in the viewer."""
TINT = 0.45

ANGLE_LAYER, ERROR_LAYER, SEEN_LAYER = "Largest angle (degrees)", "Expected error (% of distance)", "Photos in view"


def write_coverage_of(
    run: RunFolder, scene: Reconstruction, *, seed: int, options: RenderOptions
) -> tuple[Coverage, tuple[UInt8[ndarray, "_h _w 3"], ...]]:
    """Find out what a scene's photos cover and write it into the run folder.

    Returns:
        The coverage, and a picture from each recommended place, what no photo saw tinted.

    Raises:
        InputError: a file cannot be written.
    """
    coverage, figures = analyse(scene, seed=seed, options=options)
    write_coverage(run.coverage, coverage)
    layers = {
        SEEN_LAYER: figures.photos,
        ANGLE_LAYER: figures.angle_deg,
        ERROR_LAYER: 100 * figures.expected_error,
    }
    for name, values in layers.items():
        write_gaussian_layer(run.layers, name, values.numpy())
    pictures = [tinted_picture(scene, figures, place.camera, options) for place in coverage.next_photos]
    return coverage, tuple(pictures)


@torch.no_grad()
def tinted_picture(
    scene: Reconstruction, figures: GaussianCoverage, camera: Cameras, options: RenderOptions
) -> UInt8[ndarray, "_h _w 3"]:
    """A small picture from a place; orange lies over what no photo saw.

    Args:
        camera: one pinhole in the scene's world.
    """
    small = camera.resized([_fitting(camera.sizes[0])])
    options = dataclasses.replace(options_for(scene, small, options), depth=False, median_depth=False)
    shown = figures.photos[:, None] > 0
    drawn = rasterise(scene.gaussians.activate(), small.to(torch.float32), features=shown.float(), options=options)
    assert drawn.features is not None  # asked for
    return _tint(drawn.rgb[0].clamp(0, 1).numpy(), 1 - drawn.features[0, ..., 0].clamp(0, 1).numpy())


def _tint(rgb: Float[ndarray, "h w 3"], guessed: Float[ndarray, "h w"]) -> UInt8[ndarray, "h w 3"]:
    share = TINT * guessed[..., None]
    return to_bytes(((1 - share) * rgb + share * np.array(GUESSED) / 255).astype(np.float32))


def _fitting(size: Sequence[int]) -> tuple[int, int]:
    factor = min(1.0, PICTURE_PX / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
