"""The optimiser's step over Gaussians: compiled where the kernels are installed, else plain torch."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels import cuda_library, library
from sparse3d.kernels.adam import SplatRates, SplatState, splat_step
from sparse3d.kernels.cuda_adam import splat_step_cuda


def step_splats(state: SplatState, gradients: Gaussians, rates: SplatRates, iteration: int, threads: int) -> None:
    """One step of Adam in place, by whichever implementation is there (arguments as in `kernels.adam.splat_step`)."""
    if state.values.means.device.type == "cuda" and cuda_library.is_available():
        splat_step_cuda(state, gradients, rates, iteration)
    elif state.values.means.device.type == "cpu" and library.is_available():
        splat_step(state, gradients, rates, iteration, threads)
    else:
        splat_step_reference(state, gradients, rates, iteration)


@torch.no_grad()
def splat_step_reference(state: SplatState, gradients: Gaussians, rates: SplatRates, iteration: int) -> None:
    """The slow twin of `kernels.adam.splat_step`, in plain torch."""
    values, drawn = state.values, state.drawn
    sh_rates = torch.full_like(values.sh[:1], rates.sh_rest)
    sh_rates[:, 0] = rates.sh_dc
    kinds = {
        "means": (gradients.means, rates.means * state.mean_rates),
        "quats_wxyz": (gradients.quats_wxyz, rates.quats_wxyz),
        "log_scales": (gradients.scales * drawn.scales, rates.log_scales),
        "logit_opacities": (gradients.opacities * drawn.opacities * (1 - drawn.opacities), rates.logit_opacities),
        "sh": (gradients.sh, sh_rates),
    }
    for name, (gradient, rate) in kinds.items():
        if bool((torch.as_tensor(rate) == 0).all()):
            continue
        moments = getattr(state.first, name), getattr(state.second, name)
        getattr(values, name).sub_(rate * _adam_direction(gradient, *moments, rates, iteration))
    if rates.log_scales != 0:
        torch.clamp(values.log_scales, state.min_log_scales, state.max_log_scales, out=values.log_scales)
    drawn.scales.copy_(values.log_scales.exp())
    drawn.opacities.copy_(values.logit_opacities.sigmoid())


def _adam_direction(
    gradient: Float[Tensor, "*shape"],
    first: Float[Tensor, "*shape"],
    second: Float[Tensor, "*shape"],
    rates: SplatRates,
    iteration: int,
) -> Float[Tensor, "*shape"]:
    """Kingma & Ba 2015, algorithm 1: takes the gradient into the moments, returns the step for a rate of 1."""
    first.mul_(rates.beta1).add_(gradient, alpha=1 - rates.beta1)
    second.mul_(rates.beta2).addcmul_(gradient, gradient, value=1 - rates.beta2)
    mean = first / (1 - rates.beta1**iteration)
    spread = (second / (1 - rates.beta2**iteration)).sqrt()
    return mean / (spread + rates.epsilon)
