"""The compiled L1 + SSIM loss as a differentiable torch function. Its slow twin is
`sparse3d.render.losses.l1_ssim_loss_reference` (compared in `tests/render/test_losses.py`)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.kernels import abi
from sparse3d.kernels.context import POOL
from sparse3d.kernels.library import check, load_library

_DTYPES = {torch.float32: abi.FLOAT32, torch.float64: abi.FLOAT64}


@dataclass(frozen=True)
class LossSums:
    """Sums over views, pixels and channels, before any mean is taken."""

    l1: float
    ssim: float
    squares: float


def loss_sums(
    rendered: Float[Tensor, "view h w 3"],
    target: Float[Tensor, "view h w 3"],
    weights: Float[Tensor, "view h w"] | None,
    *,
    ssim_weight: float = 0.0,
    scale: float = 1.0,
    threads: int,
    gradient: Float[Tensor, "view h w 3"] | None = None,
) -> LossSums:
    """Sum weight * |difference| and weight * SSIM; fill `gradient` with that of scale * (their weighted difference)."""
    views, height, width, _ = rendered.shape
    arrays = (rendered, target, weights, gradient)
    if any(t is not None and (t.dtype != rendered.dtype or t.device.type != "cpu") for t in arrays):
        raise TypeError("image loss: the images and the mask must share one dtype, on the CPU")
    if target.shape != rendered.shape or (weights is not None and weights.shape != rendered.shape[:3]):
        raise ValueError(f"image loss: images of shapes {tuple(rendered.shape)} and {tuple(target.shape)}")
    rendered, target = rendered.detach().contiguous(), target.detach().contiguous()
    weights = None if weights is None else weights.detach().contiguous()
    lease, l1, ssim, squares = POOL.acquire(), 0.0, 0.0, 0.0
    for view in range(views):
        loss = abi.Loss(
            width=width,
            height=height,
            dtype=_DTYPES[rendered.dtype],
            threads=threads,
            rendered=rendered[view].data_ptr(),
            target=target[view].data_ptr(),
            weights=None if weights is None else weights[view].data_ptr(),
            gradient=None if gradient is None else gradient[view].data_ptr(),
            ssim_weight=ssim_weight,
            scale=scale,
        )
        check(load_library().s3d_image_loss(lease.handle, loss))
        l1, ssim, squares = l1 + loss.l1_sum, ssim + loss.ssim_sum, squares + loss.squares_sum
    lease.release()
    return LossSums(l1, ssim, squares)


def l1_ssim(
    rendered: Float[Tensor, "view h w 3"],
    target: Float[Tensor, "view h w 3"],
    weights: Float[Tensor, "view h w"] | None,
    ssim_weight: float,
    threads: int,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Loss and mean squared error of `sparse3d.render.losses.photometric_loss`; the loss is differentiable to `rendered`."""
    return _ImageLoss.apply(rendered, target, weights, ssim_weight, threads)


class _ImageLoss(torch.autograd.Function):
    """The gradient is computed with the value: one sweep over the images serves both."""

    @staticmethod
    def forward(ctx, rendered, target, weights, ssim_weight, threads):
        covered = float(rendered.numel() if weights is None else 3 * weights.sum())
        total = max(covered, 1.0)
        gradient = (
            torch.empty_like(rendered, memory_format=torch.contiguous_format) if ctx.needs_input_grad[0] else None
        )
        sums = loss_sums(
            rendered, target, weights, ssim_weight=ssim_weight, scale=1.0 / total, threads=threads, gradient=gradient
        )
        ctx.gradient = gradient
        loss = (1.0 - ssim_weight) * sums.l1 + ssim_weight * (covered - sums.ssim)
        mse = rendered.new_tensor(sums.squares / total)
        ctx.mark_non_differentiable(mse)
        return rendered.new_tensor(loss / total), mse

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream, _):
        # A loss that is minimised as it is needs no pass over its gradient.
        gradient = ctx.gradient if float(upstream) == 1 else ctx.gradient * upstream
        return gradient, None, None, None, None
