"""Cameras and sparse points as the users of 3DGS trainers have them."""

from dataclasses import dataclass

from sparse3d.bench.materials import Material
from sparse3d.bench.methods.colmap import model_of_pycolmap
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.core.images import ImageSet
from sparse3d.io.known_cameras import read_known_cameras
from sparse3d.priors.stereo.cameras import estimate_cameras
from sparse3d.priors.stereo.config import CameraConfig

LEAST_POINTS = 10
"""With fewer there is nothing that Gaussians could start from."""


@dataclass(frozen=True)
class SparseStart:
    """Where a 3DGS trainer starts.

    Attributes:
        cameras: at the photos' full size, distortion included.
        points: in the cameras' world.
        unplaced: (photo, reason) of the photos without a camera.
    """

    cameras: Cameras
    points: SparsePoints
    unplaced: tuple[tuple[str, str], ...]


def sparse_start(material: Material, images: ImageSet) -> SparseStart:
    """Posed: the true cameras, with the points that our SIFT matches triangulate in them. Unposed: COLMAP's own cameras and
    points (SIFT, incremental mapper), which is what these trainers' users have.

    Args:
        images: the material's photos.

    Raises:
        InputError: COLMAP makes no model, or too few points are found.
    """
    if material.known is None:
        cameras, points = model_of_pycolmap(images, "sift", seed=material.seed)
    else:
        known = read_known_cameras(material.known, images)
        prior = estimate_cameras(images, known, CameraConfig(), seed=material.seed)
        cameras, points = prior.cameras, prior.points
    if len(points.points) < LEAST_POINTS:
        raise InputError(f"only {len(points.points)} points were found to start from, need {LEAST_POINTS}")
    unplaced = tuple((n, "COLMAP's largest model is without it") for n in images.names if n not in cameras.names)
    return SparseStart(cameras, points, unplaced)
