"""How the optimiser talks to whoever waits for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Progress:
    """Where the optimisation stands: iterations done of all, running loss and training PSNR, seconds since the start."""

    iteration: int
    iterations: int
    loss: float
    psnr: float
    seconds: float


ProgressCallback = Callable[[Progress], None]


@runtime_checkable
class CheckpointStore(Protocol):
    """Where the optimiser's state survives a killed process."""

    def load(self) -> dict[str, np.ndarray] | None:
        """The last state saved under the same inputs and settings, or None."""
        ...

    def save(self, arrays: dict[str, np.ndarray]) -> None:
        """Replace the saved state, atomically."""
        ...
