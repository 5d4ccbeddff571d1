"""What no two views support fades unless the photos need it (the opacity penalty of Binocular3DGS, Han et al. 2024).

There every opacity is multiplied by a factor below 1 after each step, so that only those stay that the photos keep pulling
up. Here the prior tells which Gaussians several views vouch for, and only the others are pulled, by a loss:
`weight * mean(doubt * opacity) + cover * mean(1 - alpha)`, with `doubt = 1 - confidence`, or 1 where fewer than two views saw
the Gaussian, and alpha what covers each pixel of the photo.

Only what shows in the photo at hand is pulled: Adam steps by the gradient's sign where nothing pulls the other way, so that
what no photo shows would be gone after some dozen steps, however small the weight. The backdrop stays, since it is there to
fill what opens before it. The second part holds against the first where there is nothing behind: a photo has no holes. So
opacity goes from the doubtful to what lies behind them, and several guesses at a surface are mixed rather than one trusted.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.optim.terms.interface import Step, Term
from sparse3d.priors.backdrop import BACKDROP_CONFIDENCE
from sparse3d.render.rasterise import RenderOptions, RenderOutput

MIN_WEIGHT = 0.01
"""A Gaussian that is never blended with more than this does not show."""


@dataclass(frozen=True)
class OpacityDecayConfig:
    """Settings of `OpacityDecay`, which is off where both are 0.

    Attributes:
        weight: of the mean doubtful opacity in the loss.
        cover: of the share of the photo that shows nothing.
    """

    weight: float = 0.0
    cover: float = 0.0

    def __post_init__(self) -> None:
        if self.weight < 0 or self.cover < 0:
            raise ValueError(f"opacity_decay.weight and opacity_decay.cover must not be negative, got {self}")

    @property
    def enabled(self) -> bool:
        return self.weight > 0 or self.cover > 0


class OpacityDecay(Term):
    """Pulls down the opacities of what several views do not support, and fills the photos."""

    def __init__(self, config: OpacityDecayConfig) -> None:
        self.config = config

    def options(self, options: RenderOptions) -> RenderOptions:
        """With each Gaussian's blending weights."""
        return replace(options, statistics=True) if self.config.weight > 0 else options

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""]:
        mask = step.prior.masks[step.view].to(output.alpha.dtype)
        holes = (mask * (1 - output.alpha[0])).sum() / mask.sum().clamp(min=1)
        loss = self.config.cover * holes
        return loss + self.config.weight * self._doubtful(step, output) if self.config.weight > 0 else loss

    def _doubtful(self, step: Step, output: RenderOutput) -> Float[Tensor, ""]:
        """Mean opacity of what shows, by its doubt."""
        assert output.statistics is not None  # asked for
        opacities = step.gaussians.opacities
        seen_twice = step.observations > 1
        doubt = torch.where(seen_twice, 1 - step.confidence.clamp(0, 1), torch.ones_like(step.confidence))
        backdrop = step.confidence <= BACKDROP_CONFIDENCE
        doubt = doubt * (output.statistics.weight_max[0] > MIN_WEIGHT) * ~backdrop
        return (doubt.to(opacities.dtype) * opacities).mean()
