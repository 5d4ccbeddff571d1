"""Rendered disparity is to vary little where neither the photo nor the prior knows of an edge.

CoherentGS (Paliwal et al. 2024, its multiview constraint) minimises the total variation of 1 / (1 + depth), since few
photos leave the depth of what is not textured open. Depth is measured in median depths of the prior here, so that the
scene's scale does not matter; neighbours across an edge of the photo pull less (Godard et al. 2017, eq. 3), and so do
those of which the prior is sure.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.losses import MIN_ALPHA
from sparse3d.optim.terms.interface import Step, Term
from sparse3d.render.rasterise import RenderOutput


@dataclass(frozen=True)
class DisparitySmoothnessConfig:
    """Settings of `DisparitySmoothness`.

    Attributes:
        weight: of the mean absolute difference between neighbours; 0 turns it off.
        edge: how fast the pull falls with the difference of colour: by 1/e at a difference of 1 / edge.
    """

    weight: float = 0.0
    edge: float = 10.0

    def __post_init__(self) -> None:
        if self.weight < 0 or self.edge < 0:
            raise ValueError(f"disparity_smoothness: weight={self.weight} and edge={self.edge} must not be negative")


class DisparitySmoothness(Term):
    """Edge-aware total variation of 1 / (1 + depth / median depth)."""

    def __init__(self, config: DisparitySmoothnessConfig, prior: GeometryPrior) -> None:
        self.config = config
        self.unit = float(torch.cat([d.depth[d.depth > 0] for d in prior.depths]).median())
        self.pull = [self._pull(prior, view) for view in range(len(prior.cameras))]

    def _pull(self, prior: GeometryPrior, view: int) -> tuple[Float[Tensor, "h w1"], Float[Tensor, "h1 w"]]:
        """By how much each pair of neighbours is pulled together, to the right and downwards."""
        open_ = (1 - prior.depths[view].confidence) * prior.masks[view]
        image = prior.images[view]
        sides = []
        for axis in (1, 0):
            edge = torch.diff(image, dim=axis).abs().mean(-1)
            length = open_.shape[axis] - 1
            pair = torch.minimum(open_.narrow(axis, 0, length), open_.narrow(axis, 1, length))
            sides.append(pair * torch.exp(-self.config.edge * edge))
        return sides[0], sides[1]

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""]:
        """Mean over the pairs of neighbours; pairs that the rendering does not cover count as equal."""
        depth = output.depth[0]
        disparity = 1 / (1 + depth / self.unit)
        covered = output.alpha[0].detach() > MIN_ALPHA
        total = depth.new_zeros(())
        for axis, pull in zip((1, 0), self.pull[step.view], strict=True):
            length = depth.shape[axis] - 1
            both = covered.narrow(axis, 0, length) & covered.narrow(axis, 1, length)
            total = total + (pull * both * torch.diff(disparity, dim=axis).abs()).mean()
        return self.config.weight * total
