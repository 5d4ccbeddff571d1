"""Pictures that the browser cannot draw: depth, normals, and colours that depend on the direction, by our rasteriser."""

import threading

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.eval.render_views import options_for
from sparse3d.io.depth_files import COLOUR_RANGE_PERCENTILES, colour_depth
from sparse3d.io.image_files import to_bytes
from sparse3d.render.options import DEPTH_MIN_ALPHA
from sparse3d.render.rasterise import RenderOptions, RenderOutput, rasterise
from sparse3d_viewer.eye import Eye, camera_of
from sparse3d_viewer.frame import DisplayFrame
from sparse3d_viewer.layers import layer_colours
from sparse3d_viewer.scales import Scale
from sparse3d_viewer.session import Rgb
from sparse3d_viewer.subject import NEAR, Subject

RENDERED, DEPTH, NORMALS = PICTURES = ("Rendered colour", "Depth", "Normals")
"""Layers that are drawn here and nowhere else."""

PICK_SIDE = 5
"""Pixels of the little picture that tells what lies under the mouse."""

MIN_KNOWN_SHARE = 0.5
"""Of what a pixel shows; with less, the pixel's figure is not known."""

_one_at_a_time = threading.Lock()
"""Many visitors do not make the machine draw many pictures at once."""


@torch.no_grad()
def draw(
    subject: Subject,
    camera: Cameras,
    layer: str,
    background: Rgb,
    *,
    depth_range: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """One of `PICTURES` as a camera sees it (h w 3).

    Depth is coloured as the run's depth pictures are, near is warm; normals are in the camera's frame, x to the right as
    red, y up as green, towards the camera as blue.

    Args:
        camera: one pinhole in the run's world.
        background: where nothing is.
        depth_range: nearest and farthest depth in display units; the picture's own where absent.
    """
    if layer == RENDERED:
        return to_bytes(_rasterise(subject, camera, background=background).rgb[0].clamp(0, 1).numpy())
    if layer == DEPTH:
        depth, alpha = measure_depth(subject, camera)
        return _over(colour_depth(depth, depth_range=depth_range), alpha, background)
    if layer == NORMALS:
        output = _rasterise(subject, camera, normals=True)
        assert output.normals is not None  # asked for
        normals_cam = output.normals[0].float() @ camera.cam_from_world[0, :3, :3].float().T
        normals_cam = torch.nn.functional.normalize(normals_cam, dim=-1).numpy()
        return _over(127.5 * (1 + normals_cam * [1, -1, -1]), output.alpha[0].numpy(), background)
    raise ValueError(f"no such layer: {layer!r}, expected one of {PICTURES}")


@torch.no_grad()
def measure_depth(subject: Subject, camera: Cameras) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """z-depth in display units and opacity (h w) from a camera; depth is 0 where nothing is."""
    output = _rasterise(subject, camera, depth=True, median_depth=True)
    assert output.median_depth is not None  # asked for
    # Half-transparent places have no depth at which half of the light is gone: the mean stands in.
    depth = torch.where(output.median_depth > 0, output.median_depth, output.depth)[0].numpy()
    return (subject.frame.scale * depth).astype(np.float32), output.alpha[0].numpy()


def common_range(depths: list[NDArray[np.float32]]) -> tuple[float, float] | None:
    """Nearest and farthest depth for the colours of several pictures; None where nothing is."""
    known = np.concatenate([depth[depth > 0] for depth in depths])
    if len(known) == 0:
        return None
    far, near = np.percentile(1 / known.astype(np.float64), COLOUR_RANGE_PERCENTILES)
    return 1 / float(near), 1 / float(far)


@torch.no_grad()
def measure_figures(subject: Subject, camera: Cameras) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The layer's figure for each pixel, and opacity (h w): the mean over what the pixel shows, by blending weight.

    NaN where most of what a pixel shows has no known figure.
    """
    if subject.figures is None:
        raise ValueError("the layer has no figures")
    known = subject.figures.isfinite()
    features = torch.stack([torch.where(known, subject.figures, 0.0), known.float()], 1)
    output = _rasterise(subject, camera, features=features.to(subject.gaussians.means.dtype))
    assert output.features is not None  # asked for
    alpha = output.alpha[0].numpy()
    total, weight = output.features[0].unbind(-1)
    enough = weight > MIN_KNOWN_SHARE * output.alpha[0].clamp(min=DEPTH_MIN_ALPHA)
    return torch.where(enough, total / weight.clamp(min=1e-12), torch.nan).float().numpy(), alpha


def draw_figures(subject: Subject, camera: Cameras, layer: str, scale: Scale, background: Rgb) -> NDArray[np.uint8]:
    """A layer of figures as a picture (h w 3)."""
    figures, alpha = measure_figures(subject, camera)
    return _over(layer_colours(layer, figures, scale), alpha, background)


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


def _rasterise(
    subject: Subject,
    camera: Cameras,
    *,
    background: Rgb = (0, 0, 0),
    features: torch.Tensor | None = None,
    depth: bool = False,
    median_depth: bool = False,
    normals: bool = False,
) -> RenderOutput:
    """One picture, with the pixels' footprint that the run was trained with."""
    red, green, blue = (channel / 255 for channel in background)
    options = RenderOptions(
        near=subject.near,
        background=(red, green, blue),
        depth=depth,
        median_depth=median_depth,
        normals=normals,
    )
    options = options_for(subject.scene, camera, options)
    with _one_at_a_time:
        return rasterise(subject.gaussians, camera.to(torch.float32), features=features, options=options)


def _over(picture: NDArray, alpha: NDArray[np.floating], background: Rgb) -> NDArray[np.uint8]:
    """A picture (h w 3) before a background, as opaque as alpha (h w) says."""
    shown = np.where(alpha > DEPTH_MIN_ALPHA, alpha, 0)[..., None]
    return np.round(shown * picture + (1 - shown) * np.array(background)).clip(0, 255).astype(np.uint8)
