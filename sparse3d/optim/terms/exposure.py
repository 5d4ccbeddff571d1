"""Each photo has its own exposure and white balance: a gain for each colour channel, found with the scene.

The appearance of Urban Radiance Fields (Rematas et al. 2022), diagonal here, since few photos cannot tell channels apart that grow
together, and without an offset, which would lighten what is black. `rgb_i = exp(g_i - mean g) * rgb`: what all photos share stays
with the scene, so that the scene has the photos' mean exposure. The camera's part is not in what is written: new views show the
mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparse3d.optim.camera_adam import CameraAdam, Rate
from sparse3d.optim.terms.interface import Step, Term


@dataclass(frozen=True)
class ExposureConfig:
    """Settings of `Exposure`.

    Attributes:
        lr: first step of a gain's logarithm, by three photos; 0 turns it off.
        lr_final: share of the first step that is left at the end.
    """

    lr: float = 0.0
    lr_final: float = 0.1

    def __post_init__(self) -> None:
        if self.lr < 0 or not 0 < self.lr_final <= 1:
            raise ValueError(f"exposure: lr >= 0 and lr_final in (0, 1] expected, got {self}")


class Exposure(Term):
    """A gain for each channel of each photo."""

    def __init__(self, config: ExposureConfig, views: int) -> None:
        self.config = config
        self.log_gain = nn.Parameter(torch.zeros(views, 3))
        self.adam = CameraAdam({"log_gain": self.log_gain}, {"log_gain": Rate(config.lr, config.lr_final)})

    def gains(self) -> Float[Tensor, "view 3"]:
        """Of every photo; their geometric mean is 1."""
        return (self.log_gain - self.log_gain.mean(0)).exp()

    def picture(self, step: Step, rgb: Float[Tensor, "1 h w 3"]) -> Float[Tensor, "1 h w 3"]:
        return rgb * self.gains()[step.view].to(rgb.dtype)

    def after_backward(self, step: Step) -> None:
        self.adam.step(step.done)
        self.adam.forget_gradients()

    def arrays(self) -> dict[str, np.ndarray]:
        return {"log_gain": self.log_gain.detach().numpy().copy()} | {
            f"adam.{k}": v for k, v in self.adam.arrays().items()
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.log_gain.data.copy_(torch.from_numpy(arrays["log_gain"]))
        self.adam.restore({k.removeprefix("adam."): v for k, v in arrays.items() if k.startswith("adam.")})
