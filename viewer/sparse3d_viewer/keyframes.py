"""A camera's path through key frames: between them positions run along a spline and orientations turn smoothly."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sparse3d.core.camera_path import smooth_path
from sparse3d_viewer.eye import Eye


@dataclass(frozen=True)
class Keyframe:
    """An eye on the path."""

    position: NDArray[np.float64]
    wxyz: NDArray[np.float64]
    fov_y_rad: float

    @property
    def rotation(self) -> NDArray[np.float64]:
        """`display_from_cam`, 3x3."""
        return Rotation.from_quat(self.wxyz, scalar_first=True).as_matrix()

    @staticmethod
    def of(eye: Eye) -> "Keyframe":
        """Where a visitor stands."""
        return Keyframe(eye.position, eye.wxyz, eye.fov_y_rad)


def path(keyframes: list[Keyframe], count: int, size: tuple[int, int]) -> list[Eye]:
    """Eyes along the path, evenly spaced in time (`core.camera_path.smooth_path`).

    Args:
        count: of eyes, at least 1.
        size: (width, height) of the pictures.

    Raises:
        ValueError: fewer than two key frames.
    """
    positions, wxyz, fovs = (np.array(values) for values in zip(*(astuple(k) for k in keyframes), strict=True))
    moved = smooth_path(positions, wxyz, fovs, count)
    return [Eye(p, q, float(f), size) for p, q, f in zip(*moved, strict=True)]
