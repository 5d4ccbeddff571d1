"""Where the photos were taken from, as the page needs it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d_viewer.frame import TYPICAL_DISTANCE, DisplayFrame

MAX_FRUSTUM_SIZE, MIN_FRUSTUM_SIZE = 0.5, 0.08
"""Bounds of the cameras' drawn size in display units."""

SEEN_OPACITY = 0.1
"""Gaussians fainter than this do not count when the distance of the scene is measured."""


@dataclass(frozen=True)
class Viewpoint:
    """Where a photo was taken from, in display units.

    Attributes:
        name: the photo's.
        position, wxyz: of the camera with OpenCV axes (`display_from_cam`).
        fov_y_rad: vertical field of view.
        aspect: the photo's width over its height.
        distance: to the middle of what the photo sees, along the forward axis.
    """

    name: str
    position: NDArray[np.float64]
    wxyz: NDArray[np.float64]
    fov_y_rad: float
    aspect: float
    distance: float

    @property
    def rotation(self) -> NDArray[np.float64]:
        """`display_from_cam`, 3x3."""
        return se3.quat_wxyz_to_rotation(torch.from_numpy(self.wxyz)).numpy()

    @property
    def target(self) -> NDArray[np.float64]:
        """The point that the photo looks at."""
        return self.position + self.distance * self.rotation[:, 2]

    @property
    def up(self) -> NDArray[np.float64]:
        """The photo's own upward direction."""
        return -self.rotation[:, 1]

    def fov_y_for(self, aspect: float) -> float:
        """Vertical field of view with which a window of this aspect ratio shows the whole photo, in radians."""
        half_height = np.tan(self.fov_y_rad / 2)
        return float(2 * np.arctan(half_height * max(1.0, self.aspect / aspect)))


def placed_cameras(cameras: Cameras) -> Cameras:
    """The cameras whose pose and intrinsics are known, in float64."""
    cameras = cameras.to(torch.float64)
    placed = cameras.cam_from_world.isfinite().all(-1).all(-1) & cameras.K.isfinite().all(-1).all(-1)
    return cameras.select(placed.nonzero()[:, 0].tolist())


def depths_seen(cameras: Cameras, view: int, means: torch.Tensor) -> torch.Tensor:
    """z-depth (n) of points (n 3) from a camera, in world units; infinite for those that lie outside of its picture."""
    points_cam = se3.transform_points(cameras.cam_from_world[view], means)
    width, height = cameras.sizes[view]
    pixels = (points_cam @ cameras.K[view].T)[:, :2] / points_cam[:, 2:]
    inside = (points_cam[:, 2] > 0) & (pixels >= 0).all(-1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    return torch.where(inside, points_cam[:, 2], torch.inf)


def distance_seen(cameras: Cameras, view: int, means: torch.Tensor, opacities: torch.Tensor) -> float:
    """Median depth of what a camera sees, in world units; NaN where it sees nothing."""
    depth = depths_seen(cameras, view, means)
    depth = depth[depth.isfinite() & (opacities > SEEN_OPACITY)]
    return float(depth.median()) if len(depth) else float("nan")


def viewpoint_of(cameras: Cameras, view: int, frame: DisplayFrame, distance: float) -> Viewpoint:
    """A photo's viewpoint; its distance is in world units, NaN where unknown."""
    world_from_cam = cameras.world_from_cam[view]
    width, height = cameras.sizes[view]
    focal_x, focal_y = float(cameras.K[view, 0, 0]), float(cameras.K[view, 1, 1])
    turned = torch.from_numpy(frame.rotation) @ world_from_cam[:3, :3]
    return Viewpoint(
        name=cameras.names[view],
        position=frame.to_display(world_from_cam[None, :3, 3].numpy())[0],
        wxyz=se3.rotation_to_quat_wxyz(turned).numpy(),
        fov_y_rad=float(2 * np.arctan(height / (2 * focal_y))),
        aspect=width * focal_y / (height * focal_x),
        distance=frame.scale * distance if np.isfinite(distance) else TYPICAL_DISTANCE,
    )


def frustum_size(viewpoints: tuple[Viewpoint, ...]) -> float:
    """A size at which neighbouring cameras do not overlap."""
    if len(viewpoints) < 2:
        return MAX_FRUSTUM_SIZE
    positions = np.stack([v.position for v in viewpoints])
    gaps = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    np.fill_diagonal(gaps, np.inf)
    return float(np.clip(0.4 * np.median(gaps.min(1)), MIN_FRUSTUM_SIZE, MAX_FRUSTUM_SIZE))
