"""From what is known of a Gaussian to the colour error to be expected where a new view shows it.

A power law in what is measured (the error with the owner left out, contrast, the residual learned) times a factor for each
circumstance: `log u = bias + sum of coefficient * feature`. The coefficients minimise the likelihood of Tan et al. 2025 and
Kendall and Gal 2017 with Laplace's distribution, |r| / u + log u, over photos that no run had seen, with a bias of its own for each
of eleven public sets of three photos; docs/results.md says how well they do on a set that was not among them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparse3d.priors.backdrop import BACKDROP_CONFIDENCE

MIN_LEFT_OUT, MIN_CONTRAST, MIN_LEARNED = 0.005, 0.003, 0.003
"""Grey values below which an error or a contrast is one of the camera's noise and JPEG."""


@dataclass(frozen=True)
class ErrorModel:
    """Coefficients, all of the logarithm of the mean absolute colour error.

    Attributes:
        bias: the sets' mean.
        left_out, contrast, learned: exponents of those figures.
        not_shown: where no other photo shows the Gaussian, in place of the error left out.
        unsure: for each unit that the confidence lacks.
        unobserved: where no second view agreed with the depth.
        backdrop: of what was put behind all that photos show.
    """

    bias: float
    left_out: float
    contrast: float
    learned: float
    not_shown: float
    unsure: float
    unobserved: float
    backdrop: float


UNLEARNED = ErrorModel(
    bias=-1.43, left_out=0.42, contrast=0.37, learned=0.0, not_shown=-0.81, unsure=0.16, unobserved=0.52, backdrop=0.75
)
LEARNED = ErrorModel(
    bias=-1.24, left_out=0.35, contrast=0.33, learned=0.14, not_shown=-0.65, unsure=0.09, unobserved=0.64, backdrop=0.54
)


def expected_error(
    left_out: Float[Tensor, " n"],
    contrast: Float[Tensor, " n"],
    confidence: Float[Tensor, " n"],
    observations: Int[Tensor, " n"],
    learned: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, " n"]:
    """The mean absolute colour error to be expected of each Gaussian in a view that was not trained on.

    Args:
        left_out: `evidence.left_out_errors`, NaN where unknown.
        contrast: `evidence.contrast_around`.
        confidence, observations: as in `GaussianParams`.
        learned: the residual in the photos trained on, as `terms.uncertainty` learns it; None if it does not.
    """
    model = UNLEARNED if learned is None else LEARNED
    shown = ~left_out.isnan()
    log = model.bias + model.contrast * contrast.clamp(min=MIN_CONTRAST).log()
    log = log + torch.where(shown, model.left_out * left_out.clamp(min=MIN_LEFT_OUT).log(), model.not_shown)
    log = log + model.unsure * (1 - confidence) + model.unobserved * (observations < 1)
    log = log + model.backdrop * (confidence <= BACKDROP_CONFIDENCE)
    if learned is not None:
        log = log + model.learned * learned.clamp(min=MIN_LEARNED).log()
    return log.exp()
