"""What no two views support fades unless the photos need it (the opacity penalty of Binocular3DGS, Han et al. 2024).

There every opacity is multiplied by a factor below 1 after each step, so that only those stay that the photos keep pulling
up. Here the prior tells which Gaussians several views vouch for, and only the others are pulled, by a loss:
`weight * mean(doubt * opacity)` with `doubt = 1 - confidence`, or 1 where fewer than two views saw the Gaussian. Only what
shows in the photo at hand is pulled: Adam steps by the gradient's sign where nothing pulls the other way, so that what no
photo shows (the far background, say) would be gone after some dozen steps, however small the weight.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.optim.terms.interface import Step, Term
from sparse3d.render.rasterise import RenderOptions, RenderOutput

MIN_WEIGHT = 0.01
"""A Gaussian that is never blended with more than this does not show."""


@dataclass(frozen=True)
class OpacityDecayConfig:
    """Settings of `OpacityDecay`.

    Attributes:
        weight: of the mean doubtful opacity in the loss; 0 turns it off.
    """

    weight: float = 0.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"opacity_decay.weight must not be negative, got {self.weight}")


class OpacityDecay(Term):
    """Pulls down the opacities of what several views do not support."""

    def __init__(self, config: OpacityDecayConfig) -> None:
        self.config = config

    def options(self, options: RenderOptions) -> RenderOptions:
        """With each Gaussian's blending weights."""
        return replace(options, statistics=True)

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""]:
        assert output.statistics is not None  # asked for
        opacities = step.gaussians.opacities
        seen_twice = step.observations > 1
        doubt = torch.where(seen_twice, 1 - step.confidence.clamp(0, 1), torch.ones_like(step.confidence))
        doubt = doubt * (output.statistics.weight_max[0] > MIN_WEIGHT)
        return self.config.weight * (doubt.to(opacities.dtype) * opacities).mean()
