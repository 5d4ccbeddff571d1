"""What a run keeps of a photo: the picture itself, its rendering, its depth, and the camera that belongs to them."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core.cameras import Cameras
from sparse3d.core.distortion import undistorted_camera
from sparse3d.core.errors import InputError
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.io.depth_files import read_depth_npz
from sparse3d.io.image_files import read_image
from sparse3d.io.run_folder import RunFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhotoPair:
    """A photo and what the Gaussians look like from there, both undistorted and of one size (h w 3).

    Attributes:
        camera: the pinhole that both were taken with.
    """

    camera: Cameras
    photo: NDArray[np.uint8]
    rendering: NDArray[np.uint8]

    @property
    def residual(self) -> NDArray[np.float32]:
        """Mean absolute difference of the three channels (h w), in [0, 1]."""
        return np.abs(self.photo.astype(np.float32) - self.rendering.astype(np.float32)).mean(-1) / 255


def working_camera(cameras: Cameras, view: int, size: tuple[int, int]) -> Cameras:
    """The undistorted pinhole of a photo's picture of this (width, height) in the run folder."""
    camera = cameras.select([view]).to(torch.float64)
    K, new_size = undistorted_camera(camera.K[0].numpy(), camera.distortion[0].numpy(), camera.sizes[0], max(size))
    pinhole = camera.replace(K=torch.from_numpy(K)[None], sizes=(new_size,), distortion=torch.zeros(1, 4).double())
    return pinhole if new_size == size else pinhole.resized([size])


def read_pair(run: RunFolder, reconstruction: Reconstruction, name: str) -> PhotoPair | None:
    """A photo with its rendering; None where the run kept none, or of different sizes. The log tells why."""
    try:
        photo, rendering = read_image(run.photo(name)), read_image(run.rendering(name))
    except InputError as error:
        log.warning("%s cannot be compared: %s", name, error)
        return None
    if photo.shape != rendering.shape:
        log.warning("%s cannot be compared: photo and rendering differ in size", name)
        return None
    view = reconstruction.cameras.names.index(name)
    return PhotoPair(working_camera(reconstruction.cameras, view, photo.shape[1::-1]), photo, rendering)


def read_depth(run: RunFolder, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Depth and confidence (h w) of a photo; None where the run kept none. The log tells why."""
    try:
        return read_depth_npz(run.depth(name))
    except InputError as error:
        log.warning("no depth of %s: %s", name, error)
        return None
