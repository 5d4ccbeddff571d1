"""What the page draws, as plain arrays in display units (`frame.py`)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import SH_C0, Gaussians
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.core.upright import scene_up
from sparse3d.render.options import RenderOptions
from sparse3d_viewer.frame import DisplayFrame, frame_for
from sparse3d_viewer.viewpoint import Viewpoint, depths_seen, distance_seen, frustum_size, placed_cameras, viewpoint_of

MAX_DISPLAY_SIGMA = 200.0
"""Standard deviations are clipped to this: their square must stay below 65504, the largest 16-bit float."""

MIN_DISPLAY_SIGMA = 5e-4
"""And to this from below, a tenth of a pixel of a 1000-pixel photo, whose square a 16-bit float still resolves."""


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
        kept: (n) the Gaussians' indices in the reconstruction.
        points: sparse points or, where there are none, the Gaussians' centres.
        points_are_centres: which of the two it is.
        viewpoints: one a placed photo.
        up: unit vector.
        frustum_size: how large to draw a camera.
        frame: from the world to display units.
        dropped: number of Gaussians left out because they are not finite.
    """

    centres: NDArray[np.float32]
    covariances: NDArray[np.float32]
    colours: NDArray[np.uint8]
    opacities: NDArray[np.float32]
    kept: NDArray[np.int64]
    points: PointCloud
    points_are_centres: bool
    viewpoints: tuple[Viewpoint, ...]
    up: NDArray[np.float64]
    frustum_size: float
    frame: DisplayFrame
    dropped: int


def build_scene(
    reconstruction: Reconstruction,
    points: tuple[NDArray[np.floating], NDArray[np.uint8]] | None = None,
    frame: DisplayFrame | None = None,
) -> DisplayScene:
    """Prepare a reconstruction for drawing.

    Args:
        reconstruction: Gaussians and cameras in one world frame.
        points: sparse points' positions (n 3) in the world and colours (n 3); the Gaussians' centres stand in for None.
        frame: to draw in; one that suits the scene if None.

    Returns:
        The scene in display units. Cameras whose pose is unknown are left out, as are Gaussians that are not finite.
    """
    gaussians, kept = _finite(reconstruction.gaussians.activate())
    cameras = placed_cameras(reconstruction.cameras)
    means = gaussians.means.double()
    distances = [distance_seen(cameras, i, means, gaussians.opacities) for i in range(len(cameras))]
    frame = frame or frame_for(means, distances)
    colours = (gaussians.sh[:, 0] * SH_C0 + 0.5).clamp(0, 1)
    centres = frame.to_display(means.numpy()).astype(np.float32)
    rgb = (255 * colours).round().to(torch.uint8).numpy()
    cloud = PointCloud(centres, rgb)
    if points is not None and len(points[0]):
        cloud = PointCloud(frame.to_display(points[0]).astype(np.float32), np.asarray(points[1], np.uint8))
    viewpoints = tuple(viewpoint_of(cameras, i, frame, distances[i]) for i in range(len(cameras)))
    return DisplayScene(
        centres=centres,
        covariances=_covariances(gaussians, frame, _footprints(means, cameras, reconstruction.provenance.train_px)),
        colours=rgb,
        opacities=gaussians.opacities.float().numpy()[:, None],
        kept=kept,
        points=cloud,
        points_are_centres=cloud.positions is centres,
        viewpoints=viewpoints,
        up=frame.rotation @ scene_up(cameras),
        frustum_size=frustum_size(viewpoints),
        frame=frame,
        dropped=len(reconstruction.gaussians) - len(kept),
    )


def _finite(gaussians: Gaussians) -> tuple[Gaussians, NDArray[np.int64]]:
    """The Gaussians, detached and on the CPU, whose every number is finite, and their indices."""
    parts = [
        x.detach().cpu()
        for x in (gaussians.means, gaussians.quats_wxyz, gaussians.scales, gaussians.opacities, gaussians.sh)
    ]
    keep = torch.stack([x[:, None].flatten(1).isfinite().all(-1) for x in parts]).all(0)
    return Gaussians(*(x[keep] for x in parts)), keep.nonzero()[:, 0].numpy()


def _footprints(means: torch.Tensor, cameras: Cameras, train_px: tuple[float, ...]) -> torch.Tensor:
    """Standard deviation (n), in world units, by which training's pixels blurred each Gaussian.

    The rasteriser widens what it draws by `RenderOptions.eps2d` square pixels of the photos trained on. The browser's own
    pixels are finer, so without that width gaps would show between the splats. As in Mip-Splatting's smoothing filter (Yu
    et al. 2024, section 4.1) the nearest photo that shows a Gaussian counts; 0 where none does.
    """
    nearest = torch.full((len(means),), torch.inf, dtype=torch.float64)
    for view in range(len(cameras) if train_px else 0):
        nearest = torch.minimum(nearest, depths_seen(cameras, view, means))
    nearest = torch.where(nearest.isfinite(), nearest, 0.0)
    return RenderOptions().eps2d ** 0.5 * nearest / float(np.median(train_px or (1.0,)))


def _covariances(gaussians: Gaussians, frame: DisplayFrame, blur: torch.Tensor) -> NDArray[np.float32]:
    """Covariances (n 3 3) in display units, widened by a standard deviation (n) in world units."""
    rotation = torch.from_numpy(frame.rotation).float() @ se3.quat_wxyz_to_rotation(gaussians.quats_wxyz.float())
    sigma = frame.scale * torch.hypot(gaussians.scales.float(), blur.float()[:, None])
    axes = rotation * sigma.clamp(MIN_DISPLAY_SIGMA, MAX_DISPLAY_SIGMA)[:, None, :]
    return (axes @ axes.transpose(-1, -2)).numpy()
