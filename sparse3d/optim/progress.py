"""How the optimiser talks to whoever waits for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams


class Snapshot(NamedTuple):
    """Copies of what is being optimised: the Gaussians, and the cameras as undistorted pinholes at the size trained on."""

    gaussians: GaussianParams
    cameras: Cameras


@dataclass(frozen=True)
class Progress:
    """Where the optimisation stands.

    Attributes:
        iteration, iterations: done, and of all.
        loss, psnr: running, of the training photos.
        seconds: spent on optimising; what the callback itself took is not counted.
        snapshot: copies the present state; to be called during the callback, before the optimisation goes on. None where there
            is nothing to look at.
    """

    iteration: int
    iterations: int
    loss: float
    psnr: float
    seconds: float
    snapshot: Callable[[], Snapshot] | None = None


class StopTraining(Exception):
    """Raised by a progress callback: the optimisation ends, and what is done is kept."""


ProgressCallback = Callable[[Progress], None]
"""The optimisation waits for its return: a callback that blocks is a pause."""


@runtime_checkable
class CheckpointStore(Protocol):
    """Where the optimiser's state survives a killed process."""

    def load(self) -> dict[str, np.ndarray] | None:
        """The last state saved under the same inputs and settings, or None."""
        ...

    def save(self, arrays: dict[str, np.ndarray]) -> None:
        """Replace the saved state, atomically."""
        ...
