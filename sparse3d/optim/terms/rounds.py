"""Terms that act at a few points of the optimisation rather than in every step."""

from collections.abc import Mapping

import numpy as np

from sparse3d.optim.terms.interface import Step, Term


class RoundsTerm(Term):
    """Knows which of its rounds took place.

    Args:
        at: shares of the iterations after which a round takes place.
    """

    def __init__(self, at: tuple[float, ...]) -> None:
        self.at, self.rounds = at, 0

    def is_due(self, step: Step) -> bool:
        """Whether a round takes place now; it then counts as done."""
        due = sum(step.done >= share for share in self.at)
        if due <= self.rounds:
            return False
        self.rounds = due
        return True

    def arrays(self) -> dict[str, np.ndarray]:
        return {"rounds": np.array(self.rounds)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.rounds = int(arrays["rounds"])
