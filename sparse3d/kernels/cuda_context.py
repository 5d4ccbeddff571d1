"""Pools of GPU contexts, one a device: the work memory that a forward pass leaves for its backward pass."""

import ctypes
import functools

import torch

from sparse3d.kernels.context import ContextPool, Lease
from sparse3d.kernels.cuda_library import check, load_library


class CudaContextPool(ContextPool):
    """Idle contexts of one GPU."""

    def __init__(self, device: int) -> None:
        super().__init__()
        self._device = device

    def _create(self) -> int:
        fresh = ctypes.c_void_p()
        check(load_library().s3d_cuda_context_create(self._device, ctypes.byref(fresh)))
        assert fresh.value is not None
        return fresh.value

    def _destroy(self, handle: int) -> None:
        load_library().s3d_cuda_context_destroy(handle)

    def _bytes(self, handle: int) -> int:
        return load_library().s3d_cuda_context_bytes(handle)


@functools.cache
def _pool(device: int) -> CudaContextPool:
    return CudaContextPool(device)


def pool_of(device: torch.device) -> CudaContextPool:
    """The pool for tensors on this device."""
    if device.type != "cuda":
        return _pool(0)
    return _pool(torch.cuda.current_device() if device.index is None else device.index)


def stream_of(device: torch.device) -> int | None:
    """Handle of the stream that torch uses on the device now."""
    return torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else None


def is_capturing(device: torch.device) -> bool:
    """Whether a CUDA graph is being captured: nothing may wait for the device then."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


_captured: list[Lease] = []


def keep_if_captured(lease: Lease, device: torch.device) -> Lease:
    """The same lease. One that is taken while a graph is captured never returns: every run of the graph uses its memory."""
    if is_capturing(device):
        _captured.append(lease)
    return lease
