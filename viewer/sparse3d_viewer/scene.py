"""What the page draws, as plain arrays: a reconstruction moved and scaled to a size that the browser draws well.

The browser keeps covariances as 16-bit floats and cuts off what is nearer than 0.01 or farther than some thousand
units, so a scene in millimetres or in kilometres cannot be sent as it is. `display = scale * (world - origin)`: the axes
stay the world's, and a photo looks at things about `TYPICAL_DISTANCE` away.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import SH_C0, Gaussians
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.pipeline.report_layout import scene_up

TYPICAL_DISTANCE = 5.0
"""Display units from a photo's camera to the middle of what it sees."""

MAX_DISPLAY_SIGMA = 200.0
"""Standard deviations are clipped to this: their square must stay below 65504, the largest 16-bit float."""

MIN_DISPLAY_SIGMA = 5e-4
"""And to this from below, a tenth of a pixel of a 1000-pixel photo, whose square a 16-bit float still resolves."""

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


@dataclass(frozen=True)
class PointCloud:
    """Points to draw as dots: positions (n 3) and colours (n 3) as uint8."""

    positions: NDArray[np.float32]
    colours: NDArray[np.uint8]


@dataclass(frozen=True)
class DisplayScene:
    """Everything that the page draws, in display units.

    Attributes:
        centres: (n 3); covariances: (n 3 3); colours: (n 3) as uint8; opacities: (n 1) in [0, 1].
        points: sparse points or, where there are none, the Gaussians' centres.
        points_are_centres: which of the two it is.
        viewpoints: one a placed photo.
        up: unit vector.
        frustum_size: how large to draw a camera.
        scale: display units in one unit of the world.
        dropped: number of Gaussians left out because they are not finite.
    """

    centres: NDArray[np.float32]
    covariances: NDArray[np.float32]
    colours: NDArray[np.uint8]
    opacities: NDArray[np.float32]
    points: PointCloud
    points_are_centres: bool
    viewpoints: tuple[Viewpoint, ...]
    up: NDArray[np.float64]
    frustum_size: float
    scale: float
    dropped: int


def build_scene(
    reconstruction: Reconstruction, points: tuple[NDArray[np.floating], NDArray[np.uint8]] | None = None
) -> DisplayScene:
    """Prepare a reconstruction for drawing.

    Args:
        reconstruction: Gaussians and cameras in one world frame.
        points: sparse points' positions (n 3) in the world and colours (n 3); the Gaussians' centres stand in for None.

    Returns:
        The scene in display units. Cameras whose pose is unknown are left out, as are Gaussians that are not finite.
    """
    gaussians, dropped = _finite(reconstruction.gaussians.activate())
    cameras = reconstruction.cameras.to(torch.float64)
    placed = cameras.cam_from_world.isfinite().all(-1).all(-1) & cameras.K.isfinite().all(-1).all(-1)
    cameras = cameras.select(placed.nonzero()[:, 0].tolist())
    means = gaussians.means.double()
    distances = [_distance_seen(cameras, i, means, gaussians.opacities) for i in range(len(cameras))]
    scale, origin = _display_frame(means, distances)

    colours = (gaussians.sh[:, 0] * SH_C0 + 0.5).clamp(0, 1)
    centres = (scale * (means - origin)).float().numpy()
    rgb = (255 * colours).round().to(torch.uint8).numpy()
    cloud = PointCloud(centres, rgb)
    if points is not None and len(points[0]):
        positions = scale * (np.asarray(points[0], np.float64) - origin.numpy())
        cloud = PointCloud(positions.astype(np.float32), np.asarray(points[1], np.uint8))
    viewpoints = tuple(_viewpoint(cameras, i, scale, origin, distances[i]) for i in range(len(cameras)))
    return DisplayScene(
        centres=centres,
        covariances=_covariances(gaussians, scale),
        colours=rgb,
        opacities=gaussians.opacities.float().numpy()[:, None],
        points=cloud,
        points_are_centres=cloud.positions is centres,
        viewpoints=viewpoints,
        up=scene_up(cameras),
        frustum_size=_frustum_size(viewpoints),
        scale=scale,
        dropped=dropped,
    )


def _finite(gaussians: Gaussians) -> tuple[Gaussians, int]:
    """The Gaussians, detached and on the CPU, whose every number is finite, and how many were not."""
    parts = [
        x.detach().cpu()
        for x in (gaussians.means, gaussians.quats_wxyz, gaussians.scales, gaussians.opacities, gaussians.sh)
    ]
    keep = torch.stack([x[:, None].flatten(1).isfinite().all(-1) for x in parts]).all(0)
    return Gaussians(*(x[keep] for x in parts)), int((~keep).sum())


def _distance_seen(cameras: Cameras, view: int, means: torch.Tensor, opacities: torch.Tensor) -> float:
    """Median depth of what a camera sees, in world units; NaN where it sees nothing."""
    points_cam = se3.transform_points(cameras.cam_from_world[view], means)
    width, height = cameras.sizes[view]
    pixels = (points_cam @ cameras.K[view].T)[:, :2] / points_cam[:, 2:]
    inside = (points_cam[:, 2] > 0) & (pixels >= 0).all(-1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    depth = points_cam[inside & (opacities > SEEN_OPACITY), 2]
    return float(depth.median()) if len(depth) else float("nan")


def _display_frame(means: torch.Tensor, distances: list[float]) -> tuple[float, torch.Tensor]:
    """Scale and origin of the display frame."""
    origin = means.median(0).values if len(means) else torch.zeros(3, dtype=torch.float64)
    known = [d for d in distances if np.isfinite(d)]
    if known:
        return TYPICAL_DISTANCE / float(np.median(known)), origin
    extent = float((means - origin).abs().max()) if len(means) else 0.0
    return (TYPICAL_DISTANCE / extent if extent > 0 else 1.0), origin


def _covariances(gaussians: Gaussians, scale: float) -> NDArray[np.float32]:
    """Covariances (n 3 3) in display units."""
    rotation = se3.quat_wxyz_to_rotation(gaussians.quats_wxyz.float())
    sigma = (scale * gaussians.scales.float()).clamp(MIN_DISPLAY_SIGMA, MAX_DISPLAY_SIGMA)
    axes = rotation * sigma[:, None, :]
    return (axes @ axes.transpose(-1, -2)).numpy()


def _viewpoint(cameras: Cameras, view: int, scale: float, origin: torch.Tensor, distance: float) -> Viewpoint:
    world_from_cam = cameras.world_from_cam[view]
    width, height = cameras.sizes[view]
    focal_x, focal_y = float(cameras.K[view, 0, 0]), float(cameras.K[view, 1, 1])
    return Viewpoint(
        name=cameras.names[view],
        position=(scale * (world_from_cam[:3, 3] - origin)).numpy(),
        wxyz=se3.rotation_to_quat_wxyz(world_from_cam[:3, :3]).numpy(),
        fov_y_rad=float(2 * np.arctan(height / (2 * focal_y))),
        aspect=width * focal_y / (height * focal_x),
        distance=scale * distance if np.isfinite(distance) else TYPICAL_DISTANCE,
    )


def _frustum_size(viewpoints: tuple[Viewpoint, ...]) -> float:
    """A size at which neighbouring cameras do not overlap."""
    if len(viewpoints) < 2:
        return MAX_FRUSTUM_SIZE
    positions = np.stack([v.position for v in viewpoints])
    gaps = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    np.fill_diagonal(gaps, np.inf)
    return float(np.clip(0.4 * np.median(gaps.min(1)), MIN_FRUSTUM_SIZE, MAX_FRUSTUM_SIZE))
