"""How well a training fits by now: one photo's figures jump, so that what is shown is a running mean."""

import math
from dataclasses import dataclass

SMOOTHING = 0.9
"""Share of the past in the running figures."""


@dataclass
class RunningFit:
    """Running means of a training's loss and of its mean square error; NaN before the first step."""

    loss: float = math.nan
    mse: float = math.nan

    def add(self, loss: float, mse: float) -> None:
        """Take a step's figures in."""
        keep = SMOOTHING if math.isfinite(self.loss) else 0.0
        self.loss = loss if keep == 0 else keep * self.loss + (1 - keep) * loss
        self.mse = mse if keep == 0 else keep * self.mse + (1 - keep) * mse

    def entry(self, iteration: int, seconds: float) -> dict[str, float]:
        """What a training's history holds of an iteration: iteration, loss, psnr, seconds."""
        psnr = -10 * math.log10(max(self.mse, 1e-12))
        return {"iteration": float(iteration), "loss": self.loss, "psnr": psnr, "seconds": seconds}
