"""Finds and loads the kernels for NVIDIA GPUs, a plain C library (`cuda/include/sparse3d/cuda_api.h`), by ctypes.

It has the CUDA runtime inside and needs a driver alone, whatever CUDA version torch was built with."""

import ctypes
import functools
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from sparse3d.kernels import abi, cuda_abi
from sparse3d.kernels.library import KernelError, KernelUnavailable

LIBRARY_VARIABLE = "SPARSE3D_CUDA_LIBRARY"
"""Environment variable that names the library's file, before any other place is looked at."""

_FILE_NAME = f"libsparse3d_cuda{'.dll' if sys.platform == 'win32' else '.so'}"
_NAME_BYTES = 256


@dataclass(frozen=True)
class Device:
    """A GPU: `capability` is 90 for compute capability 9.0."""

    name: str
    multiprocessors: int
    capability: int


def candidate_paths() -> list[Path]:
    """Where the library may be, in the order in which it is looked for."""
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return [Path(named)]
    installed = Path(sysconfig.get_path("platlib")) / "sparse3d" / "kernels" / "_lib"
    return [Path(__file__).parent / "_lib" / _FILE_NAME, installed / _FILE_NAME]


@functools.cache
def load_library() -> ctypes.CDLL:
    """The library, loaded once and checked for the right version of its interface. A GPU is not needed for it.

    Raises:
        KernelUnavailable: there is none, it does not load, or it was built from other sources.
    """
    path = next((p for p in candidate_paths() if p.is_file()), None)
    if path is None:
        looked = ", ".join(str(p) for p in candidate_paths())
        raise KernelUnavailable(
            f"the kernels for NVIDIA GPUs were not found (looked at {looked}). Install the package with `pip install .` "
            f"where nvcc (CUDA 12 or 13) is on the PATH, or set {LIBRARY_VARIABLE} to the library, or move the tensors "
            "to the CPU"
        )
    try:
        library = ctypes.CDLL(str(path))
        found = int(library.s3d_cuda_abi_version())
    except (OSError, AttributeError) as error:
        raise KernelUnavailable(f"{path} does not load as the kernels for NVIDIA GPUs: {error}") from error
    if found != cuda_abi.VERSION:
        raise KernelUnavailable(
            f"{path} has interface version {found}, this package needs {cuda_abi.VERSION}: install the package again"
        )
    cuda_abi.declare(library)
    return library


def check(status: int) -> None:
    """Raise with the library's message unless the status is 0.

    Raises:
        KernelUnavailable: no usable driver or GPU.
        MemoryError: the GPU's memory is too small.
        KernelError: anything else.
    """
    if status == abi.OK:
        return
    message = load_library().s3d_cuda_last_error().decode(errors="replace")
    if status == cuda_abi.NO_DEVICE:
        raise KernelUnavailable(message)
    if status == abi.OUT_OF_MEMORY:
        raise MemoryError(f"the GPU's memory is too small: {message}. Use fewer Gaussians, views or pixels")
    raise KernelError(message)


def is_available() -> bool:
    """Whether the library is there; a GPU is a question of its own, see `device_count`."""
    try:
        load_library()
    except KernelUnavailable:
        return False
    return True


def device_count() -> int:
    """How many GPUs the driver shows.

    Raises:
        KernelUnavailable: there is no library, no driver or no GPU.
    """
    count = ctypes.c_int32()
    check(load_library().s3d_cuda_device_count(ctypes.byref(count)))
    return count.value


def device_info(index: int) -> Device:
    """What GPU number `index` is."""
    name, multiprocessors, capability = ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_int32(), ctypes.c_int32()
    references = ctypes.byref(multiprocessors), ctypes.byref(capability)
    check(load_library().s3d_cuda_device_info(index, name, _NAME_BYTES, *references))
    return Device(name.value.decode(errors="replace"), multiprocessors.value, capability.value)


def tensor_device() -> str:
    """The type of torch device whose tensors the library takes: "cuda", or "cpu" if it is the tests' emulation."""
    return "cuda" if load_library().s3d_cuda_platform() == b"cuda" else "cpu"
