"""Random Gaussians are left out of each step (DropGaussian, Park et al. 2025, section 3.2; dropout of Srivastava et al. 2014).

With few photos the foremost Gaussians take all the gradient and memorise; where some of them are missing, those behind them get
their share. The opacities of the others grow by 1 / (1 - share) (eq. 5), so that the picture is as opaque as without, and the
share grows with the iterations (eq. 6), since memorising comes late. Other than there, what the prior is sure of is left out less
often: it has nothing to memorise, and is only blurred by it.
"""

from dataclasses import dataclass, replace

import torch

from sparse3d.core.gaussians import Gaussians
from sparse3d.optim.terms.interface import Step, Term


@dataclass(frozen=True)
class DropoutConfig:
    """Settings of `Dropout`.

    Attributes:
        share: of the Gaussians of no confidence that are left out at the end; 0 turns it off.
    """

    share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"dropout.share must lie in [0, 1), got {self.share}")


class Dropout(Term):
    """Leaves Gaussians out of the step, others each time."""

    def __init__(self, config: DropoutConfig) -> None:
        self.config = config

    def draw(self, step: Step, gaussians: Gaussians) -> Gaussians:
        """Without the ones that are left out: their opacity is 0, and they get no gradient."""
        share = self.config.share * step.done * (1 - step.confidence.clamp(0, 1))
        kept = torch.rand(len(gaussians), generator=step.generator) >= share
        opacities = (gaussians.opacities * kept / (1 - share)).clamp(max=1)
        return replace(gaussians, opacities=opacities)
