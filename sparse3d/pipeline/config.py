"""All settings of a reconstruction, and the presets, which are YAML deltas over them."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from sparse3d.core.errors import InputError
from sparse3d.io.config_yaml import apply_delta, load_delta
from sparse3d.optim.config import OptimConfig
from sparse3d.priors.fusion import InitialiseConfig
from sparse3d.priors.stereo.cameras import CameraConfig
from sparse3d.priors.stereo.depth import DepthConfig


@dataclass(frozen=True)
class ReconstructConfig:
    """Settings of `reconstruct`.

    Attributes:
        camera: how cameras are estimated.
        depth: how depth is estimated.
        initialise: how Gaussians are made from depth.
        optim: how Gaussians and cameras are optimised.
        seed: of every random choice.
        threads: of the native kernels; 0 takes what the machine and OMP_NUM_THREADS allow.
    """

    camera: CameraConfig = field(default_factory=CameraConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    initialise: InitialiseConfig = field(default_factory=InitialiseConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    seed: int = 0
    threads: int = 0


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
    config = apply_delta(ReconstructConfig(), load_delta(path))
    if overrides is not None:
        config = apply_delta(config, load_delta(overrides))
    given = {"seed": seed, "threads": threads}
    return dataclasses.replace(config, **{name: value for name, value in given.items() if value is not None})
