"""The arrays of the optimiser's step over Gaussians: how they start, and what happens when Gaussians come and go."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams, Gaussians
from sparse3d.kernels.adam import SplatArrays, SplatState
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.pixel_size import pixel_size_at

MIN_SCALE = 1e-6
"""Stands for no lower bound at all."""


def start_state(params: GaussianParams, cameras: Cameras, config: OptimConfig) -> SplatState:
    """The state of Gaussians that have not made a step.

    A centre's rate is the size of a pixel at the Gaussian times the confidence factor of InstantSplat (Fan et al. 2024),
    `1 + (beta - 1) * (1 - confidence)`.
    """
    values = SplatArrays(**{name: getattr(params, name).contiguous() for name in SplatArrays.__dataclass_fields__})
    factor = 1 + (config.confidence_beta - 1) * (1 - params.confidence.clamp(0, 1))
    lower, upper = _scale_bounds(params.log_scales, config)
    return SplatState(
        values=values,
        first=values.map(torch.zeros_like),
        second=values.map(torch.zeros_like),
        drawn=params.activate(),
        mean_rates=(pixel_size_at(params.means, cameras) * factor)[:, None].repeat(1, 3),
        min_log_scales=lower,
        max_log_scales=upper.repeat(1, 3),
    )


def select_state(state: SplatState, keep: Bool[Tensor, " n"]) -> SplatState:
    """The state of some of the Gaussians."""
    return _combine(lambda t: t[keep].contiguous(), state)


def join_states(first: SplatState, second: SplatState) -> SplatState:
    """The state of Gaussians behind others."""
    return _combine(lambda *pair: torch.cat(pair), first, second)


def _combine(function: Callable[..., Tensor], *states: SplatState) -> SplatState:
    """The function of every array, the states' arrays of one name side by side."""

    def of(*parts: SplatArrays | Gaussians) -> dict[str, Tensor]:
        return {name: function(*(getattr(part, name) for part in parts)) for name in vars(parts[0])}

    return SplatState(
        values=SplatArrays(**of(*(s.values for s in states))),
        first=SplatArrays(**of(*(s.first for s in states))),
        second=SplatArrays(**of(*(s.second for s in states))),
        drawn=Gaussians(**of(*(s.drawn for s in states))),
        mean_rates=function(*(s.mean_rates for s in states)),
        min_log_scales=function(*(s.min_log_scales for s in states)),
        max_log_scales=function(*(s.max_log_scales for s in states)),
    )


def _scale_bounds(
    log_scales: Float[Tensor, "n 3"], config: OptimConfig
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 1"]]:
    """Smallest and largest logarithmic scales; the thinnest axis, along the surface's normal, may be as thin as it likes."""
    largest = log_scales.amax(1, keepdim=True)
    smallest = log_scales.amin(1, keepdim=True)
    # Of the two axes across the surface the shorter one sets the bound: a slanted disc is longer than a pixel is wide.
    across = log_scales.sum(1, keepdim=True) - largest - smallest
    floor = across + math.log(max(config.min_scale, MIN_SCALE))
    thin = torch.nn.functional.one_hot(log_scales.argmin(1), 3).bool()
    lower = torch.where(thin, torch.full_like(log_scales, -torch.inf), floor.expand(-1, 3))
    return lower, largest + math.log(config.max_scale)
