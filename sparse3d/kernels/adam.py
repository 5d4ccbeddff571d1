"""The compiled optimiser step. Its slow twin is `sparse3d.optim.adam.splat_step_reference` (compared in
`tests/kernels/test_adam.py`)."""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels import abi
from sparse3d.kernels.library import check, load_library

_DTYPES = {torch.float32: abi.FLOAT32, torch.float64: abi.FLOAT64}


@dataclass(frozen=True)
class SplatArrays:
    """One array for each kind of parameter: the parameters themselves, or one of Adam's moments."""

    means: Float[Tensor, "n 3"]
    quats_wxyz: Float[Tensor, "n 4"]
    log_scales: Float[Tensor, "n 3"]
    logit_opacities: Float[Tensor, " n"]
    sh: Float[Tensor, "n k 3"]

    def map(self, function) -> "SplatArrays":
        """The function of every array."""
        return SplatArrays(*(function(getattr(self, f.name)) for f in dataclasses.fields(self)))


@dataclass(frozen=True)
class SplatState:
    """What a step reads and writes in place, dense arrays of one dtype.

    Attributes:
        values: the parameters.
        first, second: Adam's moments.
        drawn: what the parameters stand for now; its means, quaternions and coefficients are the parameters' memory.
        mean_rates: factors of the means' rate, in scene units.
        min_log_scales, max_log_scales: bounds.
    """

    values: SplatArrays
    first: SplatArrays
    second: SplatArrays
    drawn: Gaussians
    mean_rates: Float[Tensor, "n 3"]
    min_log_scales: Float[Tensor, "n 3"]
    max_log_scales: Float[Tensor, "n 3"]


@dataclass(frozen=True)
class SplatRates:
    """Adam's steps of one iteration; a kind of parameter whose rate is 0 is left as it is, its moments too.

    Attributes:
        sh_rest: of all coefficients of the colours but the constant one.
        beta1, beta2, epsilon: as in Kingma & Ba 2015, algorithm 1.
    """

    means: float
    quats_wxyz: float
    log_scales: float
    logit_opacities: float
    sh_dc: float
    sh_rest: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-15


def splat_step(state: SplatState, gradients: Gaussians, rates: SplatRates, iteration: int, threads: int) -> None:
    """One step of Adam in one sweep over the Gaussians. The result does not depend on the threads.

    Args:
        state: changed in place, what is drawn included.
        gradients: of the loss to what is drawn.
        rates: the steps' sizes.
        iteration: 1 for the first step.
        threads: at least 1.

    Raises:
        TypeError: arrays of another dtype than float32 or float64, of several, or not dense.
    """
    check(load_library().s3d_splat_step(step_struct(state, gradients, rates, iteration, threads, device_type="cpu")))


def step_struct(
    state: SplatState, gradients: Gaussians, rates: SplatRates, iteration: int, threads: int, *, device_type: str
) -> abi.SplatAdam:
    """The step as the library takes it, its arrays being on a device of this type."""
    g, values, drawn = gradients, state.values, state.drawn
    kinds = {
        "means": (g.means, rates.means),
        "quats_wxyz": (g.quats_wxyz, rates.quats_wxyz),
        "log_scales": (g.scales, rates.log_scales),
        "logit_opacities": (g.opacities, rates.logit_opacities),
        "sh": (g.sh, rates.sh_dc),
    }
    dtype = values.means.dtype
    if dtype not in _DTYPES:
        raise TypeError(f"splat step: Gaussians of {dtype}, expected float32 or float64")

    def pointer(tensor: Tensor) -> int:
        if tensor.dtype != dtype or not tensor.is_contiguous() or tensor.device.type != device_type:
            found = f"one of {tensor.dtype} on {tensor.device}"
            raise TypeError(f"splat step: dense arrays of {dtype} on {device_type} expected, got {found}")
        return tensor.data_ptr()

    def array(name: str) -> abi.AdamArray:
        gradient, rate = kinds[name]
        moments = (pointer(getattr(arrays, name)) for arrays in (values, state.first, state.second))
        return abi.AdamArray(*moments, pointer(gradient), rate)

    return abi.SplatAdam(
        count=len(values.means),
        dtype=_DTYPES[dtype],
        sh_coefficients=values.sh.shape[1],
        threads=threads,
        iteration=iteration,
        beta1=rates.beta1,
        beta2=rates.beta2,
        epsilon=rates.epsilon,
        sh_rest_rate=rates.sh_rest,
        means=array("means"),
        quats=array("quats_wxyz"),
        log_scales=array("log_scales"),
        logit_opacities=array("logit_opacities"),
        sh=array("sh"),
        mean_rates=pointer(state.mean_rates),
        min_log_scales=pointer(state.min_log_scales),
        max_log_scales=pointer(state.max_log_scales),
        scales=pointer(drawn.scales),
        opacities=pointer(drawn.opacities),
    )
