"""Pictures that the browser cannot draw: depth, normals, and colours that depend on the direction, by our rasteriser."""

import threading

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.render_views import options_for
from sparse3d.io.depth_files import colour_depth
from sparse3d.io.image_files import to_bytes
from sparse3d.render.options import DEPTH_MIN_ALPHA
from sparse3d.render.rasterise import RenderOptions, rasterise
from sparse3d_viewer.eye import Eye, camera_of
from sparse3d_viewer.frame import DisplayFrame

PICTURES = ("Rendered colour", "Depth", "Normals")
"""Layers that are drawn here."""

NEAR = 0.01
"""In display units, as the browser's."""

PICK_SIDE = 5
"""Pixels of the little picture that tells what lies under the mouse."""

Rgb = tuple[int, int, int]

_one_at_a_time = threading.Lock()
"""Many visitors do not make the machine draw many pictures at once."""


@torch.no_grad()
def draw(scene: Reconstruction, eye: Eye, frame: DisplayFrame, layer: str, background: Rgb) -> NDArray[np.uint8]:
    """What an eye sees of a layer, as a picture (h w 3) of the window's shape.

    Args:
        layer: one of `PICTURES`. Depth is coloured as the run's depth pictures are, near is warm; normals are in the eye's
            frame, x to the right as red, y up as green, towards the eye as blue.
        background: where nothing is.
    """
    camera = camera_of(eye, frame, eye.picture_size)
    return draw_camera(scene, scene.gaussians.activate(), camera, layer, background, near=NEAR / frame.scale)


@torch.no_grad()
def draw_camera(
    scene: Reconstruction, gaussians: Gaussians, camera: Cameras, layer: str, background: Rgb, *, near: float
) -> NDArray[np.uint8]:
    """The same from a pinhole camera in the world.

    Args:
        gaussians: those to draw, such as the scene's within a box.
        near: what is nearer is not drawn, in scene units.
    """
    options = RenderOptions(
        background=tuple(c / 255 for c in background),  # pyright: ignore[reportArgumentType]
        near=near,
        normals=layer == "Normals",
        median_depth=layer == "Depth",
        depth=layer == "Depth",
    )
    with _one_at_a_time:
        output = rasterise(gaussians, camera.to(torch.float32), options=options_for(scene, camera, options))
    if layer == "Rendered colour":
        return to_bytes(output.rgb[0].clamp(0, 1).numpy())
    alpha = output.alpha[0].numpy()[..., None]
    if layer == "Depth" and output.median_depth is not None:
        # Half-transparent places have no depth at which half of the light is gone: the mean stands in.
        depth = torch.where(output.median_depth > 0, output.median_depth, output.depth)[0].numpy()
        picture = colour_depth(depth).astype(np.float32)
    elif layer == "Normals" and output.normals is not None:
        normals_cam = output.normals[0].float() @ camera.cam_from_world[0, :3, :3].float().T
        normals_cam = torch.nn.functional.normalize(normals_cam, dim=-1).numpy()
        picture = 127.5 * (1 + normals_cam * [1, -1, -1])
    else:
        raise ValueError(f"no such layer: {layer!r}, expected one of {PICTURES}")
    shown = np.where(alpha > DEPTH_MIN_ALPHA, alpha, 0)
    return np.round(shown * picture + (1 - shown) * np.array(background)).clip(0, 255).astype(np.uint8)


@torch.no_grad()
def pick(
    gaussians: Gaussians, frame: DisplayFrame, eye: Eye, direction: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The point of the scene under a ray of the eye, in display units; None where the ray meets nothing.

    It lies at the depth at which half of the light is gone, in a picture of a few pixels at the window's resolution.

    Args:
        direction: of the ray, in display axes, any length.
    """
    forward = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    right = np.cross(eye.rotation[:, 1], forward)
    right = right / np.linalg.norm(right)
    down = np.cross(forward, right)
    wxyz = se3.rotation_to_quat_wxyz(torch.from_numpy(np.stack([right, down, forward], 1))).numpy()
    focal = eye.size[1] / (2 * np.tan(eye.fov_y_rad / 2))
    narrow = Eye(eye.position, wxyz, float(2 * np.arctan(PICK_SIDE / (2 * focal))), (PICK_SIDE, PICK_SIDE))
    camera = camera_of(narrow, frame, narrow.size).to(torch.float32)
    options = RenderOptions(near=NEAR / frame.scale, median_depth=True, depth=False)
    with _one_at_a_time:
        output = rasterise(gaussians, camera, options=options)
    middle = PICK_SIDE // 2
    depth = float(output.median_depth[0, middle, middle]) if output.median_depth is not None else 0.0
    return eye.position + frame.scale * depth * forward if depth > 0 else None
