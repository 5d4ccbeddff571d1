"""A camera's smooth path: through key frames, or from photo to photo."""

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix

Poses = tuple[Float[ndarray, "n 3"], Float[ndarray, "n 4"], Float[ndarray, " n"]]


def smooth_path(
    positions: Float[ndarray, "k 3"], wxyz: Float[ndarray, "k 4"], fovs_rad: Float[ndarray, " k"], count: int
) -> Poses:
    """Poses along a path, evenly spaced in time; every key frame takes the same part of it.

    Positions and fields of view are monotone between key frames (PCHIP), so that the path never overshoots; orientations
    follow scipy's rotation spline, whose angular velocity is continuous.

    Args:
        positions, wxyz: of the key frames (`world_from_cam`).
        fovs_rad: their fields of view.
        count: of poses, at least 1.

    Returns:
        Positions, quaternions and fields of view.

    Raises:
        ValueError: fewer than two key frames.
    """
    if len(positions) < 2:
        raise ValueError(f"a path needs at least 2 key frames, got {len(positions)}")
    times = np.arange(len(positions), dtype=np.float64)
    at = np.linspace(0, times[-1], max(count, 1))
    rotations = Rotation.from_quat(wxyz, scalar_first=True)
    return (
        PchipInterpolator(times, positions)(at),
        RotationSpline(times, rotations)(at).as_quat(scalar_first=True),
        PchipInterpolator(times, fovs_rad)(at),
    )


def path_through(cameras: Cameras, count: int, longer_side: int) -> Cameras:
    """Pinhole cameras along a path through all photos, from an outer one to its nearest neighbour and so on.

    Where the photos were taken around something, the path goes around it, too, and keeps it in view.

    Args:
        cameras: at least two, in any order; their poses and intrinsics known.
        count: of cameras on the path.
        longer_side: of the pictures, in pixels; their shape is the first photo's, in even numbers as codecs want.

    Raises:
        ValueError: fewer than two cameras.
    """
    world_from_cam = cameras.world_from_cam.double()
    order = _short_tour(world_from_cam[:, :3, 3].numpy())
    heights = np.array([height for _, height in cameras.sizes], float)
    rotations, centres = world_from_cam[order, :3, :3], world_from_cam[order, :3, 3].numpy()
    middle = _middle_of_orbit(centres, rotations.numpy())
    if middle is not None:  # steps are taken in the axes of the camera that moves, so that it turns about the middle
        centres = np.einsum("nji,nj->ni", rotations.numpy(), centres - middle)
    positions, wxyz, fovs = smooth_path(
        centres,
        se3.rotation_to_quat_wxyz(rotations).numpy(),
        2 * np.arctan(heights / (2 * cameras.K[:, 1, 1].double().numpy()))[order],
        count,
    )
    if middle is not None:
        positions = middle + Rotation.from_quat(wxyz, scalar_first=True).apply(positions)
    factor = longer_side / max(cameras.sizes[0])
    width, height = (max(2, 2 * round(side * factor / 2)) for side in cameras.sizes[0])
    moved = se3.compose(se3.quat_wxyz_to_rotation(torch.from_numpy(wxyz)), torch.from_numpy(positions))
    focal = [height / (2 * math.tan(fov / 2)) for fov in fovs]
    K = torch.stack([intrinsics_matrix(f, f, width / 2, height / 2) for f in focal])
    return Cameras.build(se3.invert(moved), K, [(width, height)] * count)


FARTHEST_MIDDLE = 2.0
"""Distance of what photos are taken around over the largest distance between them, at most: farther things are looked at from one
side."""

LARGEST_MISS_DEG = 30.0
"""By which a photo of an orbit may look past its middle."""


def _middle_of_orbit(centres: Float[ndarray, "n 3"], rotations: Float[ndarray, "n 3 3"]) -> Float[ndarray, "3"] | None:
    """The point nearest to all viewing axes, where the cameras stand around it and look at it."""
    axes = rotations[:, :, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    middle = np.linalg.lstsq(across.sum(0), (across @ centres[..., None]).sum(0)[:, 0], rcond=1e-6)[0]
    away = np.linalg.norm(middle - centres, axis=1)
    spread = np.linalg.norm(centres[:, None] - centres[None], axis=-1).max()
    if away.min() < 1e-9 or away.max() > FARTHEST_MIDDLE * spread:
        return None
    aim = ((middle - centres) * axes).sum(1) / away
    return middle if aim.min() > math.cos(math.radians(LARGEST_MISS_DEG)) else None


def _short_tour(centres: Float[ndarray, "n 3"]) -> list[int]:
    """An order of places in which each is followed by the nearest that is left: of all starts' the shortest."""
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=-1)

    def tour(start: int) -> tuple[float, list[int]]:
        order, length = [start], 0.0
        while len(order) < len(centres):
            left = [i for i in range(len(centres)) if i not in order]
            nearest = min(left, key=lambda i: gaps[order[-1], i])
            length += gaps[order[-1], nearest]
            order.append(nearest)
        return length, order

    return min(tour(start) for start in range(len(centres)))[1]
