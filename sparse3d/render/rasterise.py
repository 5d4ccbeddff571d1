"""`rasterise`: Gaussians and cameras in, differentiable images out, whichever rasteriser draws them."""

import functools
import logging

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels import library
from sparse3d.kernels.rasteriser import KernelSettings, rasterise_views
from sparse3d.render.options import Backend, RenderOptions, RenderOutput, RenderStatistics
from sparse3d.render.reference import rasterise_reference

__all__ = ["Backend", "RenderOptions", "RenderOutput", "RenderStatistics", "choose_backend", "rasterise"]

_log = logging.getLogger(__name__)


def rasterise(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    features: Float[Tensor, "n c"] | None = None,
    options: RenderOptions | None = None,
) -> RenderOutput:
    """Draw Gaussians by EWA splatting and front-to-back alpha blending (Kerbl et al. 2023).

    Gradients flow to the Gaussians (quaternions may have any length), the features, `cam_from_world` (its 3x4 part) and
    `K` (fx, fy, cx, cy). A Gaussian that cannot be drawn (NaN, infinity, a zero quaternion, nearer than `near`) is left
    out and gets zero gradients. Images have the Gaussians' dtype; the cameras may be of another.

    Args:
        gaussians: n of them, zero included.
        cameras: pinhole views, all of one image size.
        features: up to 32 extra channels, blended like a colour.
        options: how to draw; the defaults if None.

    Returns:
        The images of all views.

    Raises:
        ValueError: the views differ in size, have lens distortion, or their pose or intrinsics are not finite.
        sparse3d.kernels.library.KernelUnavailable: the backend `cpu` was asked for and is not installed.
    """
    options = options or RenderOptions()
    width, height = _common_size(cameras)
    backend = choose_backend(options.backend)
    draw = _draw_cpu if backend == "cpu" else rasterise_reference
    return draw(gaussians, cameras, features, options, width, height)


def choose_backend(wanted: Backend) -> Backend:
    """The backend that `wanted` stands for on this machine: never `auto`.

    Raises:
        KernelUnavailable: `cpu` was asked for by name and is not installed.
    """
    if wanted == "auto":
        return _automatic_backend()
    if wanted == "cpu":
        library.load_library()
    return wanted


@functools.cache
def _automatic_backend() -> Backend:
    """Chosen and logged once in a process."""
    try:
        library.load_library()
    except library.KernelUnavailable as error:
        _log.warning("rasteriser: backend 'reference' (plain torch, slow): %s", error)
        return "reference"
    _log.info("rasteriser: backend 'cpu' (%s)", library.instruction_set())
    return "cpu"


def _common_size(cameras: Cameras) -> tuple[int, int]:
    if len(cameras) == 0:
        raise ValueError("rasterise: no cameras")
    if len(set(cameras.sizes)) > 1:
        raise ValueError(f"rasterise: views of one size expected, got {sorted(set(cameras.sizes))}: draw size by size")
    if cameras.is_distorted:
        raise ValueError("rasterise: cameras with lens distortion: draw an undistorted pinhole view, then distort it")
    if not (torch.isfinite(cameras.cam_from_world).all() and torch.isfinite(cameras.K).all()):
        raise ValueError("rasterise: a pose or an intrinsic is not finite (is a camera not placed yet?)")
    return cameras.sizes[0]


def _draw_cpu(
    gaussians: Gaussians,
    cameras: Cameras,
    features: Float[Tensor, "n c"] | None,
    options: RenderOptions,
    width: int,
    height: int,
) -> RenderOutput:
    settings = KernelSettings(
        width=width,
        height=height,
        background=options.background,
        near=options.near,
        eps2d=options.eps2d,
        antialias=options.antialias,
        threads=options.threads or torch.get_num_threads(),
        with_depth=options.depth,
        with_statistics=options.statistics,
    )
    g = gaussians
    centre_gradients = g.means.new_zeros(len(cameras), len(g), 2) if options.statistics else None
    drawn = rasterise_views(
        g.means,
        g.quats_wxyz,
        g.scales,
        g.opacities,
        g.sh,
        features,
        cameras.cam_from_world,
        cameras.K,
        settings,
        centre_gradients,
    )
    statistics = None
    if drawn.radii is not None and drawn.weight_sum is not None and drawn.weight_max is not None:
        assert centre_gradients is not None
        statistics = RenderStatistics(drawn.radii, drawn.weight_sum, drawn.weight_max, centre_gradients)
    depth = drawn.alpha.new_zeros(()).expand_as(drawn.alpha) if drawn.depth is None else drawn.depth
    return RenderOutput(drawn.rgb, drawn.alpha, depth, drawn.values, statistics)
