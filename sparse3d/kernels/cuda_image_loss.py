"""The L1 + SSIM loss on NVIDIA GPUs as a differentiable torch function. Its slow twin is
`sparse3d.render.losses.l1_ssim_loss_reference` (compared in `tests/kernels/test_cuda_emulation.py` and `tests/gpu`)."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.kernels import abi, cuda_abi
from sparse3d.kernels.cuda_context import keep_if_captured, pool_of, stream_of
from sparse3d.kernels.cuda_library import check, load_library, tensor_device
from sparse3d.kernels.rasteriser import pointer

_DTYPES = {torch.float32: abi.FLOAT32, torch.float64: abi.FLOAT64}


def l1_ssim_cuda(
    rendered: Float[Tensor, "view h w 3"],
    target: Float[Tensor, "view h w 3"],
    weights: Float[Tensor, "view h w"] | None,
    ssim_weight: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Loss and mean squared error of `sparse3d.render.losses.photometric_loss`; the loss is differentiable to `rendered`,
    and the host does not wait for it."""
    arrays = (rendered, target, *(() if weights is None else (weights,)))
    if any(t.dtype != rendered.dtype or t.device != rendered.device for t in arrays):
        raise TypeError("image loss: the images and the mask must share one dtype and one device")
    if rendered.device.type != tensor_device() or rendered.dtype not in _DTYPES:
        raise TypeError(f"image loss: {rendered.dtype} on {rendered.device}, expected float32 on {tensor_device()}")
    if target.shape != rendered.shape or (weights is not None and weights.shape != rendered.shape[:3]):
        raise ValueError(f"image loss: images of shapes {tuple(rendered.shape)} and {tuple(target.shape)}")
    return _ImageLossCuda.apply(rendered, target, weights, ssim_weight)


class _ImageLossCuda(torch.autograd.Function):
    """The gradient is computed with the value: the derivatives of SSIM serve both."""

    @staticmethod
    def forward(ctx, rendered, target, weights, ssim_weight):
        views, height, width, _ = rendered.shape
        arrays = tuple(None if t is None else t.detach().contiguous() for t in (rendered, target, weights))
        gradient = (
            torch.empty_like(rendered, memory_format=torch.contiguous_format) if ctx.needs_input_grad[0] else None
        )
        figures = rendered.new_empty(2)
        lease = keep_if_captured(pool_of(rendered.device).acquire(), rendered.device)
        call = cuda_abi.Loss(
            views=views,
            width=width,
            height=height,
            dtype=_DTYPES[rendered.dtype],
            rendered=pointer(arrays[0]),
            target=pointer(arrays[1]),
            weights=pointer(arrays[2]),
            gradient=pointer(gradient),
            loss=figures.data_ptr(),
            ssim_weight=ssim_weight,
            stream=stream_of(rendered.device),
        )
        check(load_library().s3d_cuda_image_loss(lease.handle, call))
        ctx.gradient = gradient
        loss, mse = figures[0], figures[1]
        ctx.mark_non_differentiable(mse)
        return loss, mse

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream, _):
        return ctx.gradient * upstream, None, None, None
