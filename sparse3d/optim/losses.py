"""What the optimiser minimises beside the photometric loss."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.kernels import library
from sparse3d.kernels.depth_loss import DepthLoss, DepthLossShape

MIN_ALPHA = 0.5
"""Less covered pixels have an expected depth that mostly says what little is there."""
DEPTH_SOFTNESS = 0.01
"""Relative depth error at which the loss turns from quadratic to linear: the consistency threshold of the prior."""
DEPTH_CUTOFF = 0.1
"""Relative depth error from which the pull weakens: beyond 10 % the prior is more likely wrong than the photos."""


def depth_loss(
    rendered: Float[Tensor, "h w"],
    alpha: Float[Tensor, "h w"],
    prior: Float[Tensor, "h w"],
    confidence: Float[Tensor, "h w"],
    *,
    threads: int | None = None,
) -> Float[Tensor, ""]:
    """Relative error of rendered depth against the prior's, weighted by its confidence.

    |z - z_prior| / z_prior is the same for any scale of the scene; it saturates smoothly (Charbonnier, scale 1 %),
    so that prior outliers do not pull. The compiled kernel computes it where it is installed, else plain torch.

    Args:
        rendered: expected z-depth, normalised by alpha.
        alpha: what the rendering covers; pixels that nothing covers have no depth.
        prior: z-depth of the prior, 0 where unknown.
        confidence: in [0, 1].
        threads: None: as many as torch uses. The result does not depend on it.

    Returns:
        The scalar loss; gradients flow to the rendered depth alone.
    """
    if rendered.device.type != "cpu" or not library.is_available():
        return depth_loss_reference(rendered, alpha, prior, confidence)
    shape = DepthLossShape(MIN_ALPHA, DEPTH_SOFTNESS, DEPTH_CUTOFF)
    return DepthLoss.apply(rendered, alpha, prior, confidence, shape, threads or torch.get_num_threads())


def depth_loss_reference(
    rendered: Float[Tensor, "h w"],
    alpha: Float[Tensor, "h w"],
    prior: Float[Tensor, "h w"],
    confidence: Float[Tensor, "h w"],
) -> Float[Tensor, ""]:
    """The slow twin of `depth_loss`, in plain torch."""
    weight = confidence * (prior > 0) * (alpha.detach() > MIN_ALPHA)
    relative = (rendered - prior) / prior.clamp(min=torch.finfo(prior.dtype).tiny)
    relative = torch.where(weight > 0, relative, torch.zeros_like(relative))
    robust = DEPTH_SOFTNESS * (torch.sqrt(1 + (relative / DEPTH_SOFTNESS) ** 2) - 1)
    robust = robust / (1 + robust.detach() / DEPTH_CUTOFF)
    return (weight * robust).sum() / weight.sum().clamp(min=1)
