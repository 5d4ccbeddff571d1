"""Refinement of a test view's pose: what is left of the error of an image when its camera may move a little.

Poses estimated from a few photos are a little off, and so is the alignment of the true cameras with them; a held-out
photo is then compared with a rendering shifted by pixels. As InstantSplat and others do, the figures are given a second
time at a pose that minimises the photometric error against the held-out photo itself, the Gaussians being fixed. The
rule is one for every run and method, so that figures can be compared; it flatters, and is never given alone.
"""

import dataclasses
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, project
from sparse3d.core.distortion import undistort_image, undistorted_camera
from sparse3d.core.gaussians import Gaussians
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.render_views import options_for
from sparse3d.render.rasterise import RenderOptions, rasterise


@dataclass(frozen=True)
class RefineConfig:
    """The rule of refinement.

    Attributes:
        iterations: steps in all, the first half at half the resolution, which reaches further.
        max_side_px: longer side of the image compared in the second half.
        learning_rate: Adam's, in radians for the rotation and in units of the median depth for the translation; it
            falls to zero along a cosine. 0.003 is about a pixel a step at the coarser resolution.
    """

    iterations: int = 120
    max_side_px: int = 512
    learning_rate: float = 3e-3


@dataclass(frozen=True)
class RefinedPose:
    """A pose after refinement.

    Attributes:
        camera: the view given, moved.
        rotation_deg: angle between the orientations before and after.
        translation: distance between the centres before and after, in units of the rendering's median depth.
        loss_before, loss_after: mean absolute colour difference at the finer resolution.
    """

    camera: Cameras
    rotation_deg: float
    translation: float
    loss_before: float
    loss_after: float


@dataclass(frozen=True)
class _Level:
    """A photo as a pinhole sees it at one resolution."""

    camera: Cameras
    photo: Float[Tensor, "h w 3"]
    mask: Float[Tensor, "h w"]
    options: RenderOptions


def refine_pose(
    scene: Reconstruction,
    camera: Cameras,
    photo: Float[ndarray, "h w 3"],
    config: RefineConfig | None = None,
    *,
    options: RenderOptions | None = None,
) -> RefinedPose:
    """Move one camera by Adam on an SE(3) increment until its rendering fits a photo best.

    The loss is the mean absolute difference of colours over the undistorted photo. The pose before is kept where the
    last one is not better.

    Args:
        camera: one view at the photo's size, in the scene's world.
        photo: in [0, 1].
    """
    config = config or RefineConfig()
    options = dataclasses.replace(options or RenderOptions(), depth=False, statistics=False)
    gaussians = scene.gaussians.detached().activate()
    sides = [max(1, config.max_side_px // 2)] * (config.iterations // 2)
    sides += [config.max_side_px] * (config.iterations - len(sides))
    levels = {side: _level(scene, camera, photo, side, options) for side in {*sides, config.max_side_px}}
    finest = levels[config.max_side_px]
    start = camera.cam_from_world.detach().double()
    depth = _median_depth(gaussians, finest, start)

    increment = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    unit = torch.tensor([depth] * 3 + [1.0] * 3, dtype=torch.float64)
    adam = torch.optim.Adam([increment], lr=config.learning_rate)
    for step, side in enumerate(sides):
        adam.param_groups[0]["lr"] = config.learning_rate * (1 + math.cos(math.pi * step / len(sides))) / 2
        loss = _loss(gaussians, levels[side], se3.se3_exp(increment * unit) @ start)
        adam.zero_grad()
        if loss.requires_grad:  # not where no Gaussian is in sight
            loss.backward()
        if increment.grad is not None and bool(increment.grad.isfinite().all()):
            adam.step()

    with torch.no_grad():
        moved = se3.se3_exp(increment * unit) @ start
        before, after = (float(_loss(gaussians, finest, pose)) for pose in (start, moved))
    if not after < before:
        moved, after = start, before
    relative = moved @ se3.invert(start)
    return RefinedPose(
        camera=camera.replace(cam_from_world=moved.detach().to(camera.cam_from_world.dtype)),
        rotation_deg=float(se3.rotation_angle_deg(relative[:, :3, :3])),
        translation=float((se3.invert(moved) - se3.invert(start))[0, :3, 3].norm()) / depth,
        loss_before=before,
        loss_after=after,
    )


def _level(
    scene: Reconstruction, camera: Cameras, photo: Float[ndarray, "h w 3"], side: int, options: RenderOptions
) -> _Level:
    """The photo undistorted at a resolution, and the pinhole that sees it."""
    K, distortion = camera.K[0].cpu().double().numpy(), camera.distortion[0].cpu().double().numpy()
    new_K, new_size = undistorted_camera(K, distortion, camera.sizes[0], side)
    picture, mask = undistort_image(photo.astype("float32"), K, distortion, new_K, new_size)
    means = scene.gaussians.means
    pinhole = camera.replace(
        K=torch.from_numpy(new_K)[None], sizes=(new_size,), distortion=camera.distortion.new_zeros(1, 4)
    ).to(means.dtype, means.device)
    photo_tensor, mask_tensor = (torch.from_numpy(x).to(means.device, means.dtype) for x in (picture, mask))
    return _Level(pinhole, photo_tensor, mask_tensor, options_for(scene, pinhole, options))


def _loss(gaussians: Gaussians, level: _Level, cam_from_world: Float[Tensor, "1 4 4"]) -> Tensor:
    """Mean absolute colour difference over the pixels that the photo shows."""
    camera = level.camera.replace(cam_from_world=cam_from_world.to(level.photo))
    rgb = rasterise(gaussians, camera, options=level.options).rgb[0]
    difference = (rgb - level.photo).abs().mean(-1) * level.mask
    return difference.sum() / level.mask.sum().clamp(min=1)


@torch.no_grad()
def _median_depth(gaussians: Gaussians, level: _Level, cam_from_world: Float[Tensor, "1 4 4"]) -> float:
    """A typical depth in front of the camera, in scene units; 1 where there is nothing."""
    camera = level.camera.replace(cam_from_world=cam_from_world.to(gaussians.means))
    (pixels,), (depth,) = project(camera, gaussians.means[None])
    size = torch.tensor(camera.sizes[0]).to(pixels)
    visible = depth[(depth > 0) & (pixels >= 0).all(-1) & (pixels < size).all(-1)]
    return float(visible.median()) if len(visible) else 1.0
