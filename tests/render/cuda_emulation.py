"""The GPU's kernels compiled for the CPU (`cuda/emulation`, built by `make emulation`), in the place of the real ones."""

import ctypes
import functools
from pathlib import Path

import pytest

from sparse3d.kernels import (
    cuda_abi,
    cuda_adam,
    cuda_context,
    cuda_image_loss,
    cuda_library,
    cuda_patchmatch,
    cuda_rasteriser,
)

PATH = Path(__file__).parents[2] / "build" / "emulation" / "libsparse3d_cuda_emulated.so"
ASCENDING, DESCENDING = 0, 1
"""Order in which a block's threads run: a missing barrier shows in one of the two."""


@functools.cache
def load() -> ctypes.CDLL:
    """The library.

    Raises:
        FileNotFoundError: it was not built.
    """
    if not PATH.is_file():
        raise FileNotFoundError(f"{PATH} is not there: run `make emulation`")
    library = ctypes.CDLL(str(PATH))
    cuda_abi.declare(library)
    library.s3d_emulation_run_faulty.restype = ctypes.c_char_p
    return library


@functools.cache
def _pool(device: int) -> cuda_context.CudaContextPool:
    return cuda_context.CudaContextPool(device)


def install(monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    """Let the backend `cuda` use it for this test, on tensors on the CPU; skips the test where it was not built."""
    try:
        library = load()
    except FileNotFoundError as error:
        pytest.skip(f"{error}")
    for module in (cuda_library, cuda_context, cuda_rasteriser, cuda_image_loss, cuda_adam, cuda_patchmatch):
        monkeypatch.setattr(module, "load_library", load)
    monkeypatch.setattr(cuda_context, "_pool", _pool)
    return library
