"""Finds and loads the compiled kernels, a plain C library (`cuda/include/sparse3d/c_api.h`), by ctypes."""

import ctypes
import functools
import os
import sys
import sysconfig
from pathlib import Path

from sparse3d.kernels import abi

LIBRARY_VARIABLE = "SPARSE3D_LIBRARY"
"""Environment variable that names the library's file, before any other place is looked at."""

_SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
_FILE_NAME = f"libsparse3d_cpu{_SUFFIX}"


class KernelUnavailable(RuntimeError):
    """The compiled kernels cannot be used here; the message says why and what to do."""


class KernelError(RuntimeError):
    """A kernel refused its arguments or ran out of memory."""


def candidate_paths() -> list[Path]:
    """Where the library may be, in the order in which it is looked for."""
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return [Path(named)]
    installed = Path(sysconfig.get_path("platlib")) / "sparse3d" / "kernels" / "_lib"
    return [Path(__file__).parent / "_lib" / _FILE_NAME, installed / _FILE_NAME]


@functools.cache
def load_library() -> ctypes.CDLL:
    """The library, loaded once and checked for the right version of its interface.

    Raises:
        KernelUnavailable: there is none, it does not load, or it was built from other sources.
    """
    path = next((p for p in candidate_paths() if p.is_file()), None)
    if path is None:
        looked = ", ".join(str(p) for p in candidate_paths())
        raise KernelUnavailable(
            f"the compiled kernels were not found (looked at {looked}). Install the package with `pip install .` where "
            f"a C++17 compiler and CMake are, or set {LIBRARY_VARIABLE} to the library, or use the backend 'reference'"
        )
    try:
        library = ctypes.CDLL(str(path))
        found = int(library.s3d_abi_version())
    except (OSError, AttributeError) as error:
        raise KernelUnavailable(f"{path} does not load as the compiled kernels: {error}") from error
    if found != abi.VERSION:
        raise KernelUnavailable(
            f"{path} has interface version {found}, this package needs {abi.VERSION}: install the package again"
        )
    abi.declare(library)
    return library


def check(status: int) -> None:
    """Raise `KernelError` (or `MemoryError`) with the library's message unless the status is 0."""
    if status == abi.OK:
        return
    message = load_library().s3d_last_error().decode(errors="replace")
    if status == abi.OUT_OF_MEMORY:
        raise MemoryError(f"the rasteriser ran out of memory: {message}")
    raise KernelError(message)


def is_available() -> bool:
    """Whether the compiled kernels can be used here."""
    try:
        load_library()
    except KernelUnavailable:
        return False
    return True


def instruction_set() -> str:
    """The instruction set that the kernels chose on this machine (SPARSE3D_ISA in the environment overrides it)."""
    return load_library().s3d_isa().decode()
