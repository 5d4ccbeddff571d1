"""A camera's path through key frames: between them positions run along a spline and orientations turn smoothly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

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
    """Eyes along the path, evenly spaced in time; every key frame takes the same part of it.

    Positions and fields of view are monotone between key frames (PCHIP), so that the path never overshoots; orientations
    follow scipy's rotation spline, whose angular velocity is continuous.

    Args:
        count: of eyes, at least 1.
        size: (width, height) of the pictures.

    Raises:
        ValueError: fewer than two key frames.
    """
    if len(keyframes) < 2:
        raise ValueError(f"a path needs at least 2 key frames, got {len(keyframes)}")
    times = np.arange(len(keyframes), dtype=np.float64)
    at = np.linspace(0, times[-1], max(count, 1))
    positions = PchipInterpolator(times, np.stack([k.position for k in keyframes]))(at)
    fovs = PchipInterpolator(times, [k.fov_y_rad for k in keyframes])(at)
    rotations = Rotation.from_quat(np.stack([k.wxyz for k in keyframes]), scalar_first=True)
    wxyz = RotationSpline(times, rotations)(at).as_quat(scalar_first=True)
    return [Eye(p, q, float(f), size) for p, q, f in zip(positions, wxyz, fovs, strict=True)]
