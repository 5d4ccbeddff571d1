"""The optimiser step on NVIDIA GPUs. Its slow twin is `sparse3d.optim.adam.splat_step_reference` (compared in
`tests/kernels/test_cuda_emulation.py` and `tests/gpu`)."""

import torch
from torch import Tensor

from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels.adam import SplatRates, SplatState, step_struct
from sparse3d.kernels.cuda_context import keep_if_captured, pool_of, stream_of
from sparse3d.kernels.cuda_library import check, load_library, tensor_device


def splat_step_cuda(
    state: SplatState,
    gradients: Gaussians,
    rates: SplatRates,
    iteration: int,
    iteration_on_device: Tensor | None = None,
) -> None:
    """One step of Adam in one launch, as `sparse3d.kernels.adam.splat_step`, for arrays on one GPU.

    `iteration_on_device`, an int32 scalar there, counts in place of `iteration` if given: a CUDA graph that repeats the step
    finds another one in it each time.
    """
    device = state.values.means.device
    step = step_struct(state, gradients, rates, iteration, threads=1, device_type=tensor_device())
    if iteration_on_device is not None and (
        iteration_on_device.dtype != torch.int32 or iteration_on_device.device != device
    ):
        raise TypeError(f"splat step: the iteration as int32 on {device} expected, got {iteration_on_device.dtype}")
    pointer = None if iteration_on_device is None else iteration_on_device.data_ptr()
    lease = keep_if_captured(pool_of(device).acquire(), device)
    check(load_library().s3d_cuda_splat_step(lease.handle, step, pointer, stream_of(device)))
