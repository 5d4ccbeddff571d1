"""Adam over the cameras' few numbers: torch's own takes longer over its bookkeeping than the kernels over 100,000 Gaussians'."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

BETA1, BETA2, EPS = 0.9, 0.999, 1e-15
"""Of Kerbl et al. 2023; compared with torch's Adam in tests/optim/test_camera_adam.py."""


@dataclass(frozen=True)
class Rate:
    """Decays exponentially from `first` to `first * last_share` over the optimisation."""

    first: float
    last_share: float

    def at(self, done: float) -> float:
        return self.first * self.last_share**done


class CameraAdam:
    """Adam (Kingma and Ba 2015, algorithm 1) in place over parameters on the CPU, in their own dtype."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], rates: Mapping[str, Rate]) -> None:
        self.parameters, self.rates = dict(parameters), dict(rates)
        self.first = {name: np.zeros_like(p.detach().numpy()) for name, p in self.parameters.items()}
        self.second = {name: np.zeros_like(p.detach().numpy()) for name, p in self.parameters.items()}
        self.steps = 0

    def forget_gradients(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    def step(self, done: float) -> None:
        """One step by the gradients that autograd left; parameters without one stay.

        Args:
            done: share of the iterations that are done, in [0, 1].
        """
        self.steps += 1
        scale = np.sqrt(1 - BETA2**self.steps)
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            g, first, second = parameter.grad.numpy(), self.first[name], self.second[name]
            first += (1 - BETA1) * (g - first)
            second += (1 - BETA2) * (g * g - second)
            rate = self.rates[name].at(done) / (1 - BETA1**self.steps)
            parameter.detach().numpy()[...] -= rate * first / (np.sqrt(second) / scale + EPS)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that `restore` needs."""
        moments = {f"first.{k}": v for k, v in self.first.items()} | {f"second.{k}": v for k, v in self.second.items()}
        return {k: v.copy() for k, v in moments.items()} | {"steps": np.array(self.steps)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to a saved state."""
        self.steps = int(arrays["steps"])
        for name in self.parameters:
            self.first[name][...] = arrays[f"first.{name}"]
            self.second[name][...] = arrays[f"second.{name}"]
