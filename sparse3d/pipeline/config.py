"""All settings of a reconstruction, and the presets, which are YAML deltas over them."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from sparse3d.core.errors import InputError
from sparse3d.io.config_yaml import read_config
from sparse3d.optim.config import OptimConfig
from sparse3d.priors.fusion import InitialiseConfig
from sparse3d.priors.outliers.config import OutlierConfig
from sparse3d.priors.stereo.cameras import CameraConfig
from sparse3d.priors.stereo.depth_config import DepthConfig

MAX_THREADS = 256
"""What the kernels take."""
MAX_SEED = 2**31 - 1
"""COLMAP keeps its seed in 32 bits."""
MIN_DEPTH_SIDE = 16
"""Smaller depth maps hold nothing that could be matched."""


@dataclass(frozen=True)
class ReconstructConfig:
    """Settings of `reconstruct`.

    Attributes:
        camera: how cameras are estimated.
        depth: how depth is estimated.
        outliers: when a photo that does not fit the others is left out or placed anew.
        initialise: how Gaussians are made from depth.
        optim: how Gaussians and cameras are optimised.
        coverage: find out what the photos cover and where to take the next one, which takes some seconds.
        seed: of every random choice.
        threads: of the native kernels; 0 takes what the machine and OMP_NUM_THREADS allow.
    """

    camera: CameraConfig = field(default_factory=CameraConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    outliers: OutlierConfig = field(default_factory=OutlierConfig)
    initialise: InitialiseConfig = field(default_factory=InitialiseConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    coverage: bool = True
    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        checked_threads(self.threads)
        if not 0 <= self.seed <= MAX_SEED:
            raise InputError(f"seed is {self.seed}, expected 0 to {MAX_SEED}")
        if self.depth.max_side < MIN_DEPTH_SIDE:
            raise InputError(f"depth.max_side is {self.depth.max_side} pixels, expected at least {MIN_DEPTH_SIDE}")
        if self.initialise.max_gaussians < 1:
            raise InputError(f"initialise.max_gaussians is {self.initialise.max_gaussians}, expected at least 1")


def checked_threads(count: int) -> int:
    """The number of threads of the native kernels, 0 for all cores.

    Raises:
        InputError: it is negative, or more than the kernels take.
    """
    if not 0 <= count <= MAX_THREADS:
        raise InputError(f"threads is {count}, expected 1 to {MAX_THREADS}, or 0 for all cores")
    return count


def preset_folder() -> Path:
    """Where the presets are: beside the installed package, or in the source checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return folder
    raise InputError(f"{package}: the presets are missing from this installation: install sparse3d again")


def preset_names() -> list[str]:
    """Names of all presets."""
    return sorted(path.stem for path in preset_folder().glob("*.yaml"))


def load_config(
    preset: str, *, overrides: Path | None = None, seed: int | None = None, threads: int | None = None
) -> ReconstructConfig:
    """The settings of a preset, with a user's own YAML delta, seed and threads over it.

    Raises:
        InputError: there is no such preset, or a file has an unknown key or a value of a wrong type.
    """
    path = preset_folder() / f"{preset}.yaml"
    if preset not in preset_names():
        raise InputError(f"no preset {preset!r}: there are {', '.join(preset_names())}")
    config = read_config(path, ReconstructConfig())
    if overrides is not None:
        config = read_config(overrides, config)
    given = {"seed": seed, "threads": threads}
    return dataclasses.replace(config, **{name: value for name, value in given.items() if value is not None})
