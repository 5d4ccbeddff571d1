"""Maps at a lower resolution: what several terms compute on, since structure larger than a pixel is what they are about."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.optim.losses import MIN_ALPHA
from sparse3d.optim.terms.interface import Step
from sparse3d.render.rasterise import RenderOutput


def reduce_map(values: Float[Tensor, "h w"], weights: Float[Tensor, "h w"], factor: int) -> Float[Tensor, "H W"]:
    """Weighted means over squares of `factor` pixels, 0 where nothing weighs; rows and columns left over are dropped."""
    total = torch.nn.functional.avg_pool2d((values * weights)[None], factor)[0]
    weight = torch.nn.functional.avg_pool2d(weights[None], factor)[0]
    known = weight > 0
    return torch.where(known, total / torch.where(known, weight, 1.0), 0.0)


def reduce_image(image: Float[Tensor, "h w c"], factor: int) -> Float[Tensor, "H W c"]:
    """Means over squares of `factor` pixels; rows and columns left over are dropped."""
    return torch.nn.functional.avg_pool2d(image.permute(2, 0, 1)[None], factor)[0].permute(1, 2, 0)


def rendered_depth(output: RenderOutput, factor: int) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """The reduced depth of the rendering, and which share of each square's pixels it covers (not differentiable)."""
    depth = output.depth[0]
    covered = ((output.alpha[0].detach() > MIN_ALPHA) & (depth.detach() > 0)).to(depth.dtype)
    return reduce_map(depth, covered, factor), torch.nn.functional.avg_pool2d(covered[None], factor)[0]


def prior_depth(step: Step, factor: int) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """The reduced depth of the prior for the step's photo, 0 where unknown, and its mean confidence (masked: 0)."""
    found, mask = step.prior.depths[step.view], step.prior.masks[step.view]
    confidence = found.confidence * mask * (found.depth > 0)
    return reduce_map(found.depth, confidence, factor), torch.nn.functional.avg_pool2d(confidence[None], factor)[0]
