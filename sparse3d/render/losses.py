"""Photometric losses: L1 and the structural similarity of Wang et al. 2004."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.kernels import cuda_library, library
from sparse3d.kernels.cuda_image_loss import l1_ssim_cuda
from sparse3d.kernels.image_loss import l1_ssim

WINDOW = 11
SIGMA_PX = 1.5
"""The Gaussian window of Wang et al. 2004, section III.B."""
C1, C2 = 0.01**2, 0.03**2
"""Stabilisers for colours in [0, 1] (same source)."""


@dataclass(frozen=True)
class PhotometricLoss:
    """What `photometric_loss` returns.

    Attributes:
        loss: differentiable to the rendering.
        mse: mean squared error over pixels and channels, by the mask's weights; not differentiable.
    """

    loss: Float[Tensor, ""]
    mse: Float[Tensor, ""]


def photometric_loss(
    rendered: Float[Tensor, "view h w 3"],
    target: Float[Tensor, "view h w 3"],
    *,
    ssim_weight: float = 0.2,
    mask: Bool[Tensor, "view h w"] | Float[Tensor, "view h w"] | None = None,
    threads: int | None = None,
) -> PhotometricLoss:
    """(1 - ssim_weight) * L1 + ssim_weight * (1 - SSIM), averaged over pixels and channels (Kerbl et al. 2023).

    The images continue as black beyond their borders ('same' padding by zeros). The compiled kernel computes it where it
    is installed (there is one for CPUs and one for NVIDIA GPUs), else plain torch (20 times as slow).

    Args:
        rendered: what is optimised; gradients flow here alone.
        target: the photos.
        ssim_weight: share of the structural term, in [0, 1].
        mask: weights in [0, 1]. Where it is 0 the rendering is taken to equal the photo, so that nothing there is held
            against it, in windows that reach there either; the mean is over the mask's sum.
        threads: None: as many as torch uses. The result does not depend on it.

    Returns:
        The loss, 0 if nothing is masked in, and the squared error, which costs nothing beside it.
    """
    if rendered.device.type == "cuda" and cuda_library.is_available():
        weights = None if mask is None else mask.to(rendered.dtype)
        return PhotometricLoss(*l1_ssim_cuda(rendered, target, weights, ssim_weight))
    if rendered.device.type != "cpu" or not library.is_available():
        loss = l1_ssim_loss_reference(rendered, target, ssim_weight=ssim_weight, mask=mask)
        return PhotometricLoss(loss, _mse_reference(rendered.detach(), target, mask))
    weights = None if mask is None else mask.to(rendered.dtype)
    return PhotometricLoss(*l1_ssim(rendered, target, weights, ssim_weight, threads or torch.get_num_threads()))


def l1_ssim_loss(
    rendered: Float[Tensor, "view h w 3"],
    target: Float[Tensor, "view h w 3"],
    *,
    ssim_weight: float = 0.2,
    mask: Bool[Tensor, "view h w"] | Float[Tensor, "view h w"] | None = None,
    threads: int | None = None,
) -> Float[Tensor, ""]:
    """The loss alone of `photometric_loss`."""
    return photometric_loss(rendered, target, ssim_weight=ssim_weight, mask=mask, threads=threads).loss


def ssim(x: Float[Tensor, "view h w 3"], y: Float[Tensor, "view h w 3"]) -> Float[Tensor, ""]:
    """Mean SSIM, borders included (black beyond them); differentiable to x."""
    return 1 - l1_ssim_loss(x, y, ssim_weight=1.0)


def l1_ssim_loss_reference(
    rendered: Float[Tensor, "view h w 3"],
    target: Float[Tensor, "view h w 3"],
    *,
    ssim_weight: float = 0.2,
    mask: Bool[Tensor, "view h w"] | Float[Tensor, "view h w"] | None = None,
) -> Float[Tensor, ""]:
    """The slow twin of `l1_ssim_loss`, in plain torch."""
    target = target.detach()
    weights = torch.ones_like(rendered[..., :1]) if mask is None else mask.to(rendered.dtype)[..., None]
    judged = target + weights * (rendered - target)
    per_pixel = (1 - ssim_weight) * (judged - target).abs()
    per_pixel = per_pixel + ssim_weight * weights * (1 - ssim_map_reference(judged, target))
    return per_pixel.sum() / (3 * weights.sum()).clamp_min(1.0)


def _mse_reference(
    rendered: Float[Tensor, "view h w 3"],
    target: Float[Tensor, "view h w 3"],
    mask: Bool[Tensor, "view h w"] | Float[Tensor, "view h w"] | None,
) -> Float[Tensor, ""]:
    weights = torch.ones_like(rendered[..., 0]) if mask is None else mask.to(rendered.dtype)
    error = (rendered - target).square().mean(-1)
    return (weights * error).sum() / weights.sum().clamp_min(1 / 3)


def ssim_map_reference(x: Float[Tensor, "view h w 3"], y: Float[Tensor, "view h w 3"]) -> Float[Tensor, "view h w 3"]:
    """SSIM at every pixel and channel in plain torch."""
    planes_x, planes_y = x.movedim(-1, 1), y.movedim(-1, 1)
    mean_x, mean_y = _blur(planes_x), _blur(planes_y)
    var_x = _blur(planes_x * planes_x) - mean_x * mean_x
    var_y = _blur(planes_y * planes_y) - mean_y * mean_y
    cov = _blur(planes_x * planes_y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + C1) * (2 * cov + C2)
    bottom = (mean_x * mean_x + mean_y * mean_y + C1) * (var_x + var_y + C2)
    return (top / bottom).movedim(1, -1)


def _blur(planes: Float[Tensor, "view c h w"]) -> Float[Tensor, "view c h w"]:
    window = _window(planes.dtype).to(planes.device)
    channels, half = planes.shape[1], WINDOW // 2
    rows = torch.conv2d(
        planes, window.reshape(1, 1, 1, -1).expand(channels, 1, 1, -1), padding=(0, half), groups=channels
    )
    return torch.conv2d(
        rows, window.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1), padding=(half, 0), groups=channels
    )


def _window(dtype: torch.dtype) -> Float[Tensor, "tap"]:
    taps = [math.exp(-((i - WINDOW // 2) ** 2) / (2 * SIGMA_PX**2)) for i in range(WINDOW)]
    return torch.tensor([t / sum(taps) for t in taps], dtype=dtype)
