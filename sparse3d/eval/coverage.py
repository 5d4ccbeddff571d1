"""Which pixels of a view the training views have seen, and the depth that a reconstruction renders.

A held-out photo shows more than the photos that a run was given: what lies beyond their edges or behind what they show can
only be guessed. What was covered is decided from the run alone, so that it is defined for every method: each pixel is
lifted to the depth that the run renders there and must fall into the picture of a training view, not behind what the run
renders in that view. Where the run renders nothing the pixel counts as infinitely far away, and is covered where a
training view looks the same way past everything. A run with wrong depth has a wrong coverage, so that figures over
what was covered are given beside those over all pixels, never alone, and with the share that was covered.
"""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import maximum_filter

from sparse3d.core.cameras import Cameras, pixel_grid
from sparse3d.core.lens import distort_points, undistort_points
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.image_metrics import scoring_factor
from sparse3d.eval.render_views import covering_pinhole, options_for, through_lens
from sparse3d.render.rasterise import RenderOptions, rasterise

HIDDEN_BEHIND = 0.02
"""A point farther behind the rendered depth of a training view than this share of it is hidden there. The depth is the largest
of nine pixels, so that the slope of a surface within a pixel hides nothing."""

SPECK = 0.005
"""Patches that were not seen and are smaller than this share of the picture count as seen: most are errors of the rendered
depth, which must not excuse the run from the pixels that they spoil."""


class RenderedDepth(NamedTuple):
    """Depth as a reconstruction renders it.

    Attributes:
        depth: z-depth at which half of the light is gone, in scene units; 0 where less is.
        confidence: that of the Gaussians, as blended; what is transparent has none.
    """

    depth: Float[ndarray, "h w"]
    confidence: Float[ndarray, "h w"]


@dataclass(frozen=True)
class TrainingView:
    """One training view and how far it sees.

    Attributes:
        camera: at the scoring resolution, with its lens.
        pinhole: `covering_pinhole(camera)`.
        reach: for each pixel of the pinhole the z-depth that it sees to; infinite where nothing is in the way.
    """

    camera: Cameras
    pinhole: Cameras
    reach: Float[ndarray, "h w"]


def render_depth(scene: Reconstruction, camera: Cameras, options: RenderOptions) -> RenderedDepth:
    """Depth and confidence as a camera's lens shows them.

    Args:
        camera: one view with known pose and intrinsics, at the size wanted.
        options: of a backend that draws the median depth: any but gsplat.
    """
    pinhole = covering_pinhole(camera)
    return RenderedDepth(*through_lens(camera, pinhole, _pinhole_depth(scene, camera, pinhole, options)))


def training_views(scene: Reconstruction, options: RenderOptions) -> tuple[TrainingView, ...]:
    """How far each of the run's own cameras sees, at the scoring resolution."""
    cameras = [at_scoring_resolution(scene.cameras.select([i])) for i in range(len(scene.cameras))]
    return tuple(seeing_view(scene, camera, options) for camera in cameras)


def seeing_view(scene: Reconstruction, camera: Cameras, options: RenderOptions) -> TrainingView:
    """How far a camera sees in a reconstruction, whether its photo was taken or not.

    Args:
        camera: one view with known pose and intrinsics, at the size wanted.
    """
    pinhole = covering_pinhole(camera)
    depth = _pinhole_depth(scene, camera, pinhole, options).depth
    farthest = maximum_filter(np.where(depth > 0, depth, np.float32(np.inf)), size=3)
    return TrainingView(camera, pinhole, farthest * np.float32(1 + HIDDEN_BEHIND))


def covered_pixels(
    scene: Reconstruction, camera: Cameras, trained: tuple[TrainingView, ...], options: RenderOptions
) -> Bool[ndarray, "h w"]:
    """The pixels of a camera that at least one training view saw.

    Args:
        camera: one view in the scene's world, with known pose and intrinsics, at the size wanted.
        trained: `training_views` of the scene.
    """
    depth = render_depth(scene, camera, options).depth.astype(np.float64)
    known = depth > 0
    pose, K, distortion = _arrays(camera)
    pixels = undistort_points(pixel_grid(*camera.sizes[0]).reshape(-1, 2).numpy(), K, distortion)
    rays = np.concatenate([(pixels - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones((len(pixels), 1))], 1)
    # Homogeneous points: where nothing is rendered a direction, which translations do not move.
    finite = known.reshape(-1, 1)
    world = (rays * np.where(finite, depth.reshape(-1, 1), 1.0) - finite * pose[:3, 3]) @ pose[:3, :3]
    covered = np.zeros(depth.size, bool)
    for view in trained:
        covered |= sees(view, world, known.ravel())
    return _without_specks(covered.reshape(depth.shape))


def _without_specks(covered: Bool[ndarray, "h w"]) -> Bool[ndarray, "h w"]:
    patches = np.asarray(cv2.connectedComponents((~covered).astype(np.uint8), connectivity=4)[1], np.int64)
    sizes = np.bincount(patches.ravel())
    sizes[0] = 0  # the covered pixels themselves
    return covered | (sizes < SPECK * covered.size)[patches]


def at_scoring_resolution(camera: Cameras) -> Cameras:
    """One view at the size that its pictures are scored at."""
    width, height = camera.sizes[0]
    factor = scoring_factor(width, height)
    return camera.resized([(max(1, width // factor), max(1, height // factor))])


def sees(view: TrainingView, world: Float[ndarray, "n 3"], finite: Bool[ndarray, " n"]) -> Bool[ndarray, " n"]:
    """Which points (or, where not finite, directions) a view sees."""
    pose, lens_K, distortion = _arrays(view.camera)
    cam = world @ pose[:3, :3].T + finite[:, None] * pose[:3, 3]
    seen = np.zeros(len(world), bool)
    ahead = np.flatnonzero(cam[:, 2] > 1e-9)
    homogeneous = cam[ahead] @ view.pinhole.K[0].numpy().T
    pixels = homogeneous[:, :2] / homogeneous[:, 2:]
    inside = ((pixels >= 0) & (pixels < np.array(view.pinhole.sizes[0]))).all(1)
    ahead, pixels = ahead[inside], pixels[inside]
    shown = distort_points(pixels, view.pinhole.K[0].numpy(), distortion, lens_K)
    column, row = np.floor(pixels).astype(np.int64).T
    depth = np.where(finite[ahead], cam[ahead, 2], np.inf)
    inside = ((shown >= 0) & (shown < np.array(view.camera.sizes[0]))).all(1)
    seen[ahead[inside & (depth <= view.reach[row, column])]] = True
    return seen


@torch.no_grad()
def _pinhole_depth(scene: Reconstruction, camera: Cameras, pinhole: Cameras, options: RenderOptions) -> RenderedDepth:
    gaussians = scene.gaussians.activate()
    output = rasterise(
        gaussians,
        pinhole.to(gaussians.means.dtype, gaussians.means.device),
        features=scene.gaussians.confidence[:, None],
        options=dataclasses.replace(options_for(scene, camera, options), median_depth=True, depth=False),
    )
    assert output.median_depth is not None and output.features is not None  # both were asked for
    return RenderedDepth(output.median_depth[0].cpu().float().numpy(), output.features[0, ..., 0].cpu().float().numpy())


def _arrays(camera: Cameras) -> tuple[Float[ndarray, "4 4"], Float[ndarray, "3 3"], Float[ndarray, " 4"]]:
    """Pose, intrinsics and distortion of one view, float64."""
    pose, K, distortion = (
        x[0].detach().cpu().double().numpy() for x in (camera.cam_from_world, camera.K, camera.distortion)
    )
    return pose, K, distortion
