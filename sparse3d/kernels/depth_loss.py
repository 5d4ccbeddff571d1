"""The compiled depth loss. Its slow twin is `sparse3d.optim.losses.depth_loss_reference` (compared in
`tests/optim/test_losses.py`)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.kernels import abi
from sparse3d.kernels.context import POOL
from sparse3d.kernels.library import check, load_library

_DTYPES = {torch.float32: abi.FLOAT32, torch.float64: abi.FLOAT64}


@dataclass(frozen=True)
class DepthLossShape:
    """Where the loss counts and how it grows; see `sparse3d.optim.losses.depth_loss`."""

    min_alpha: float
    softness: float
    cutoff: float


def depth_loss_value(
    rendered: Float[Tensor, "h w"],
    alpha: Float[Tensor, "h w"],
    known: Float[Tensor, "h w"],
    confidence: Float[Tensor, "h w"],
    shape: DepthLossShape,
    *,
    scale: float = 1.0,
    threads: int,
    gradient: Float[Tensor, "h w"] | None = None,
) -> float:
    """The loss; fills `gradient` with that of scale * loss. The result does not depend on the threads."""
    arrays = (rendered, alpha, known, confidence)
    if any(a.dtype != rendered.dtype or a.shape != rendered.shape or a.device.type != "cpu" for a in arrays):
        raise TypeError("depth loss: images of one size and one dtype expected, on the CPU")
    kept = [a.detach().contiguous() for a in arrays]
    depth = abi.Depth(
        rendered.numel(),
        _DTYPES[rendered.dtype],
        threads,
        *(a.data_ptr() for a in kept),
        None if gradient is None else gradient.data_ptr(),
        shape.min_alpha,
        shape.softness,
        shape.cutoff,
        scale,
    )
    lease = POOL.acquire()
    check(load_library().s3d_depth_loss(lease.handle, depth))
    lease.release()
    return depth.loss


class DepthLoss(torch.autograd.Function):
    """Differentiable to the rendered depth; the gradient is computed with the value."""

    @staticmethod
    def forward(ctx, rendered, alpha, known, confidence, shape, threads):
        gradient = torch.empty_like(rendered, memory_format=torch.contiguous_format)
        loss = depth_loss_value(rendered, alpha, known, confidence, shape, threads=threads, gradient=gradient)
        ctx.gradient = gradient
        return rendered.new_tensor(loss)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        gradient = ctx.gradient if float(upstream) == 1 else ctx.gradient * upstream
        return gradient, None, None, None, None, None
