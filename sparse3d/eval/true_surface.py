"""The Gaussians of a reconstruction against the true surface of the scene."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.geometry_metrics import (
    GeometryScore,
    diagonal,
    geometry_metrics,
    sample_mesh,
    seen_by,
    thin,
    within_bounds,
)
from sparse3d.eval.pose_metrics import Sim3
from sparse3d.io.surfaces import read_surface

MIN_OPACITY = 0.1
"""More transparent Gaussians are no surface."""

MESH_POINTS = 1_000_000
"""Spread over a true surface that is a mesh: some millimetres apart on a room, and thinned later."""


def surface_points(path: Path) -> Float[ndarray, "n 3"]:
    """The points of a cloud's PLY file, or points spread over a mesh's.

    Raises:
        InputError: the file is missing or no PLY of points or triangles.
    """
    surface = read_surface(path)
    if len(surface.faces) == 0:
        return surface.vertices
    return sample_mesh(surface.vertices, surface.faces, MESH_POINTS)


def score_surface(
    reconstruction: Reconstruction,
    alignment: Sim3,
    cameras: Cameras,
    surface: Float[ndarray, "n 3"],
    fractions: Sequence[float],
) -> GeometryScore:
    """Compare where the Gaussians are with a true surface; the rules stand in `protocol.GEOMETRY`.

    Args:
        alignment: from the true world to the run's.
        cameras: true cameras of the run's photos, by which the surface is cut to what they see.
        surface: points in the true world.
        fractions: thresholds as fractions of the diagonal of the surface that is seen.

    Raises:
        ValueError: the cameras see nothing of the surface, or no Gaussian is near it.
    """
    seen = surface[seen_by(surface, cameras)]
    if len(seen) == 0:
        raise ValueError("the run's photos see nothing of the true surface: is it in the world of the true cameras?")
    thresholds = [fraction * diagonal(seen) for fraction in fractions]
    solid = torch.sigmoid(reconstruction.gaussians.logit_opacities) >= MIN_OPACITY
    means = reconstruction.gaussians.means[solid].detach().cpu().double()
    # The inverse of `run = scale * rotation @ true + translation`; rows are points.
    points = ((means - alignment.translation) @ alignment.rotation / alignment.scale).numpy()
    points = points[within_bounds(points, surface, max(thresholds))]
    if len(points) == 0:
        raise ValueError("no Gaussian lies within the bounds of the true surface")
    spacing = min(thresholds) / 2
    points, everything, to_find = (thin(x.astype(np.float64), spacing) for x in (points, surface, seen))
    return geometry_metrics(points, everything, thresholds, to_find=to_find)
