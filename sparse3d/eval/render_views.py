"""Renderings at any camera: any size, lens distortion applied. `sparse3d render` and the evaluation use this alone."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from sparse3d.core.cameras import Cameras, pixel_grid
from sparse3d.core.distortion import distort_image, render_camera_for, undistort_points
from sparse3d.core.errors import InputError
from sparse3d.core.gaussians import Gaussians
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.render.rasterise import RenderOptions, rasterise

MAX_SIDE = 32768
"""Of one rendering: what the kernels take."""
MAX_PIXELS = 64_000_000
"""Of one rendering, the room for its lens distortion included: some gigabytes while it is drawn."""

FilterScale = Literal["train", "screen"]


class RenderedView(NamedTuple):
    """One rendering, as float32 arrays.

    Attributes:
        rgb: colours over the background.
        alpha: opacity gathered along each pixel's ray, in [0, 1].
        depth: z-depth as the rasteriser gives it, in scene units.
    """

    rgb: Float[ndarray, "h w 3"]
    alpha: Float[ndarray, "h w"]
    depth: Float[ndarray, "h w"]


def render_camera(
    scene: Reconstruction | Gaussians,
    cameras: Cameras,
    options: RenderOptions | None = None,
    *,
    filter_scale: FilterScale = "train",
) -> list[RenderedView]:
    """Render every camera, one after the other, so that memory is that of one view.

    A lens with distortion is rendered by a larger pinhole of the same focal length, which covers it, and resampled:
    colours bicubically, alpha and depth from the nearest pixel.

    Args:
        cameras: in the scene's world frame; sizes may differ.
        filter_scale: how wide the low-pass filter of the splats is. "screen": `options.eps2d` square pixels of the
            rendering, whatever its resolution. "train": never less than that much at the resolution of training, whose
            median focal length the provenance tells: at twice the focal length the variance is fourfold. The splats
            were fitted with the filter on; a sharper rendering without it shows thin gaps between them. Gaussians
            that come without provenance are rendered as "screen".

    Raises:
        ValueError: a camera's pose or intrinsics are not known.
        InputError: a picture would be too large for the memory.
    """
    gaussians = scene.gaussians.activate() if isinstance(scene, Reconstruction) else scene
    options = options or RenderOptions()
    views = []
    for i in range(len(cameras)):
        camera = cameras.select([i])
        if not (camera.cam_from_world.isfinite().all() and camera.K.isfinite().all()):
            raise ValueError(f"the camera {camera.names[0]} has no pose or no intrinsics: it cannot be rendered")
        scaled = options_for(scene, camera, options) if filter_scale == "train" else options
        views.append(_render_one(gaussians, camera, scaled))
    return views


@torch.no_grad()
def render_values(
    scene: Reconstruction, camera: Cameras, values: Float[ndarray, " n"], options: RenderOptions
) -> Float[ndarray, "h w"]:
    """The mean, over what a view's pixels blend, of a figure that each Gaussian has; 0 where nothing is.

    Args:
        camera: one view, its pose and intrinsics known.
        values: not negative, such as the layer `uncertainty`.
    """
    pinhole = covering_pinhole(camera)
    output = rasterise(
        scene.gaussians.activate(),
        pinhole.to(torch.float32),
        uncertainty=torch.from_numpy(values),
        options=options_for(scene, camera, dataclasses.replace(options, depth=False)),
    )
    assert output.uncertainty is not None  # it was asked for
    return through_lens(camera, pinhole, [output.uncertainty[0].numpy()])[0]


def check_size(camera: Cameras) -> None:
    """Refuse a picture that would take more memory than a machine has.

    Args:
        camera: one view, its intrinsics known.

    Raises:
        InputError: it has more than `MAX_PIXELS`, or a side beyond `MAX_SIDE`.
    """
    width, height = covering_pinhole(camera).sizes[0]
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(
            f"the camera {camera.names[0]} has {camera.sizes[0][0]}x{camera.sizes[0][1]} pixels, which needs a picture of "
            f"{width}x{height}; rendered are at most {MAX_PIXELS // 1_000_000} megapixels and {MAX_SIDE} a side: scale width, "
            "height, fx, fy, cx and cy down"
        )


def options_for(scene: Reconstruction | Gaussians, camera: Cameras, options: RenderOptions) -> RenderOptions:
    """The options with the splats' low-pass filter as wide in the scene as it was in training, or wider; see above.

    Args:
        camera: one view.
    """
    train_px = scene.provenance.train_px if isinstance(scene, Reconstruction) else ()
    if not train_px:
        return options
    focal_px = float(camera.K[0, 0, 0] + camera.K[0, 1, 1]) / 2
    factor = max(1.0, focal_px / float(np.median(train_px)))
    return dataclasses.replace(options, eps2d=options.eps2d * factor**2)


def covering_pinhole(camera: Cameras) -> Cameras:
    """The pinhole of the same focal length whose picture covers all that a camera's lens sees; float64.

    Args:
        camera: one view, its intrinsics known.
    """
    K, distortion = _lens(camera)
    render_K, render_size = render_camera_for(K, distortion, camera.sizes[0])
    return camera.replace(
        K=torch.from_numpy(render_K)[None], sizes=(render_size,), distortion=torch.zeros(1, 4, dtype=torch.float64)
    )


def through_lens(
    camera: Cameras, pinhole: Cameras, maps: Sequence[Float[ndarray, "hp wp"]]
) -> list[Float[ndarray, "h w"]]:
    """Maps of the covering pinhole as the camera's lens shows them, from the nearest pixel; 0 where it shows nothing.

    Args:
        camera: one view.
        pinhole: `covering_pinhole(camera)`.
    """
    K, distortion = _lens(camera)
    if not distortion.any():
        return list(maps)
    nearest = _nearest_pixels(pinhole.K[0].numpy(), pinhole.sizes[0], K, distortion, camera.sizes[0])
    return [np.where(nearest < 0, np.float32(0), x.ravel()[nearest.clip(min=0)]) for x in maps]


@torch.no_grad()
def _render_one(gaussians: Gaussians, camera: Cameras, options: RenderOptions) -> RenderedView:
    """One view, distortion included."""
    check_size(camera)
    pinhole = covering_pinhole(camera)
    output = rasterise(gaussians, pinhole.to(gaussians.means.dtype, gaussians.means.device), options=options)
    rgb, alpha, depth = (x[0].cpu().float().numpy() for x in (output.rgb, output.alpha, output.depth))
    K, distortion = _lens(camera)
    if not distortion.any():
        return RenderedView(rgb, alpha, depth)
    warped = distort_image(rgb, pinhole.K[0].numpy(), K, distortion, camera.sizes[0])
    return RenderedView(warped, *through_lens(camera, pinhole, (alpha, depth)))


def _lens(camera: Cameras) -> tuple[Float[ndarray, "3 3"], Float[ndarray, " 4"]]:
    """Intrinsics and distortion of one view, float64."""
    K, distortion = (x[0].detach().cpu().double().numpy() for x in (camera.K, camera.distortion))
    return K, distortion


def _nearest_pixels(
    render_K: Float[ndarray, "3 3"],
    render_size: tuple[int, int],
    K: Float[ndarray, "3 3"],
    distortion: Float[ndarray, " 4"],
    size: tuple[int, int],
) -> Int[ndarray, "h w"]:
    """For each pixel of the distorted picture the flat index of the pinhole's pixel that it shows, or -1."""
    centres = pixel_grid(*size).reshape(-1, 2).numpy()
    where = np.floor(np.nan_to_num(undistort_points(centres, K, distortion, render_K), nan=-1.0))
    outside = (where < 0).any(1) | (where >= render_size).any(1)
    flat = np.where(outside, -1, where[:, 1] * render_size[0] + where[:, 0]).astype(np.int64)
    return flat.reshape(size[1], size[0])
