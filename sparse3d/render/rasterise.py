"""`rasterise`: Gaussians and cameras in, differentiable images out, whichever rasteriser draws them."""

import dataclasses
import functools
import logging

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels import library
from sparse3d.render.cpu import rasterise_cpu
from sparse3d.render.cuda import rasterise_cuda
from sparse3d.render.gsplat import load_gsplat, rasterise_gsplat
from sparse3d.render.options import (
    MAX_FEATURES,
    Backend,
    RenderOptions,
    RenderOutput,
    RenderStatistics,
    mean_of_blended,
)
from sparse3d.render.reference import rasterise_reference

__all__ = ["Backend", "RenderOptions", "RenderOutput", "RenderStatistics", "choose_backend", "rasterise"]

_log = logging.getLogger(__name__)

_distortions = WeakTensorKeyDictionary()

_DRAW = {"cpu": rasterise_cpu, "cuda": rasterise_cuda, "gsplat": rasterise_gsplat, "reference": rasterise_reference}


def rasterise(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    features: Float[Tensor, "n c"] | None = None,
    uncertainty: Float[Tensor, " n"] | None = None,
    masks: Bool[Tensor, "view h w"] | None = None,
    options: RenderOptions | None = None,
) -> RenderOutput:
    """Draw Gaussians by EWA splatting and front-to-back alpha blending (Kerbl et al. 2023).

    Gradients flow to the Gaussians (quaternions may have any length), the features, the uncertainty, `cam_from_world`
    (its 3x4 part) and `K` (fx, fy, cx, cy). A Gaussian that cannot be drawn (NaN, infinity, a zero quaternion, nearer than
    `near`) is left out and gets zero gradients. Images have the Gaussians' dtype; the cameras may be of another.

    Args:
        gaussians: n of them, zero included.
        cameras: pinhole views, all of one image size.
        features: extra channels, blended like a colour; up to 32, or 31 beside an uncertainty.
        uncertainty: a figure that is not negative for each Gaussian, of which the mean over what was blended is drawn.
        masks: where False, nothing is drawn: background, alpha 0, no gradients. It saves the time that those pixels take.
        options: how to draw; the defaults if None.

    Returns:
        The images of all views.

    Raises:
        ValueError: the views differ in size, have lens distortion, or (on the CPU) their pose or intrinsics are not finite;
            too many features; masks of another shape; something that the backend cannot do.
        sparse3d.kernels.library.KernelUnavailable: the backend `cpu` or `cuda` was asked for and is not installed.
        sparse3d.core.errors.MissingDependency: the backend `gsplat` was asked for and is not installed.
    """
    options = options or RenderOptions()
    width, height = _common_size(cameras)
    if masks is not None and masks.shape != (len(cameras), height, width):
        raise ValueError(f"rasterise: masks of {tuple(masks.shape)}, expected {(len(cameras), height, width)}")
    values = _blended_values(features, uncertainty)
    draw = _DRAW[choose_backend(options.backend, gaussians.means.device)]
    output = draw(gaussians, cameras, values, masks, options, width, height)
    if uncertainty is None or output.features is None:
        return output
    return dataclasses.replace(
        output,
        features=None if features is None else output.features[..., :-1],
        uncertainty=mean_of_blended(output.features[..., -1], output.alpha),
    )


def choose_backend(wanted: Backend, device: torch.device | str = "cpu") -> Backend:
    """The backend that `wanted` stands for on this machine, for Gaussians on this device: never `auto`.

    Raises:
        KernelUnavailable: `cpu` was asked for by name and is not installed.
        MissingDependency: the same of `gsplat`.
    """
    if wanted == "auto":
        return "cuda" if torch.device(device).type == "cuda" else _automatic_backend()
    if wanted == "cpu":
        library.load_library()
    if wanted == "gsplat":
        load_gsplat()
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


def _blended_values(
    features: Float[Tensor, "n c"] | None, uncertainty: Float[Tensor, " n"] | None
) -> Float[Tensor, "n d"] | None:
    """The features, with the uncertainty as the last one."""
    parts = [*(() if features is None else (features,)), *(() if uncertainty is None else (uncertainty[:, None],))]
    if not parts:
        return None
    values = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
    if values.shape[1] > MAX_FEATURES:
        raise ValueError(
            f"rasterise: {values.shape[1]} extra channels (an uncertainty counts as one), at most {MAX_FEATURES} are blended"
        )
    return values


def _is_distorted(cameras: Cameras) -> bool:
    """On a GPU, where the host has to wait for the answer, looked up once for a tensor that stays as it is."""
    distortion = cameras.distortion
    if distortion.device.type == "cpu":
        return cameras.is_distorted
    known = _distortions.get(distortion)
    if known is None or known[0] != distortion._version:
        known = _distortions[distortion] = (distortion._version, cameras.is_distorted)
    return known[1]


def _common_size(cameras: Cameras) -> tuple[int, int]:
    if len(cameras) == 0:
        raise ValueError("rasterise: no cameras")
    if len(set(cameras.sizes)) > 1:
        raise ValueError(f"rasterise: views of one size expected, got {sorted(set(cameras.sizes))}: draw size by size")
    if _is_distorted(cameras):
        raise ValueError("rasterise: cameras with lens distortion: draw an undistorted pinhole view, then distort it")
    # On a GPU the host would have to wait for the answer; a camera that is not finite sees nothing there.
    on_host = cameras.cam_from_world.device.type == "cpu"
    if on_host and not (torch.isfinite(cameras.cam_from_world).all() and torch.isfinite(cameras.K).all()):
        raise ValueError("rasterise: a pose or an intrinsic is not finite (is a camera not placed yet?)")
    return cameras.sizes[0]
