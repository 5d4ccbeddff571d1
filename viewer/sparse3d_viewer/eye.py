"""A visitor's eye as a camera that the rasteriser knows."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.frame import DisplayFrame

MAX_PICTURE_SIDE = 1280
"""Pixels of the longer side of pictures that are drawn for the page: larger windows get them enlarged."""


@dataclass(frozen=True)
class Eye:
    """From where a visitor looks, in display units.

    Attributes:
        position, wxyz: `display_from_cam`, OpenCV axes.
        fov_y_rad: vertical field of view.
        size: (width, height) of the window's scene in pixels.
    """

    position: NDArray[np.float64]
    wxyz: NDArray[np.float64]
    fov_y_rad: float
    size: tuple[int, int]

    @staticmethod
    def of(camera: viser.CameraHandle) -> "Eye":
        """The eye of a visitor as the server knows it now."""
        size = (max(1, int(camera.image_width)), max(1, int(camera.image_height)))
        return Eye(np.array(camera.position), np.array(camera.wxyz), float(camera.fov), size)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """`display_from_cam`, 3x3."""
        return se3.quat_wxyz_to_rotation(torch.from_numpy(np.asarray(self.wxyz, np.float64))).numpy()

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) of a picture for this window: its shape, at most `MAX_PICTURE_SIDE` pixels long."""
        factor = min(1.0, MAX_PICTURE_SIDE / max(self.size))
        return max(1, round(self.size[0] * factor)), max(1, round(self.size[1] * factor))


def camera_of(eye: Eye, frame: DisplayFrame, size: tuple[int, int]) -> Cameras:
    """The pinhole camera in a run's world that shows what the eye sees, as a picture of the given (width, height)."""
    world_from_cam = torch.eye(4, dtype=torch.float64)
    world_from_cam[:3, :3] = torch.from_numpy(frame.rotation.T @ eye.rotation)
    world_from_cam[:3, 3] = torch.from_numpy(frame.to_world(eye.position[None])[0])
    focal = size[1] / (2 * np.tan(eye.fov_y_rad / 2))
    K = intrinsics_matrix(float(focal), float(focal), size[0] / 2, size[1] / 2)
    return Cameras.build(se3.invert(world_from_cam)[None], K[None], [size])
