"""Each photo has its own exposure and white balance: a gain and an offset a colour channel, found with the scene.

The affine appearance of Urban Radiance Fields (Rematas et al. 2022), diagonal here: few photos cannot tell channels
apart that grow together. `rgb_i = exp(g_i - mean g) * rgb + b_i - mean b`: what all photos share stays with the scene, so
that the scene has the photos' mean exposure. The camera's part is not in what is written: new views show the mean.
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
        lr: first step of a gain's logarithm and of an offset (colours are in [0, 1]); 0 turns it off.
        lr_final: share of the first step that is left at the end.
    """

    lr: float = 0.0
    lr_final: float = 0.1

    def __post_init__(self) -> None:
        if self.lr < 0 or not 0 < self.lr_final <= 1:
            raise ValueError(f"exposure: lr >= 0 and lr_final in (0, 1] expected, got {self}")


class Exposure(Term):
    """A gain and an offset for each channel of each photo."""

    def __init__(self, config: ExposureConfig, views: int) -> None:
        self.config = config
        self.log_gain = nn.Parameter(torch.zeros(views, 3))
        self.offset = nn.Parameter(torch.zeros(views, 3))
        self.adam = CameraAdam(
            {"log_gain": self.log_gain, "offset": self.offset},
            {name: Rate(config.lr, config.lr_final) for name in ("log_gain", "offset")},
        )

    def gains(self) -> Float[Tensor, "view 3"]:
        """Of every photo; their geometric mean is 1."""
        return (self.log_gain - self.log_gain.mean(0)).exp()

    def offsets(self) -> Float[Tensor, "view 3"]:
        """Of every photo; their mean is 0."""
        return self.offset - self.offset.mean(0)

    def picture(self, step: Step, rgb: Float[Tensor, "1 h w 3"]) -> Float[Tensor, "1 h w 3"]:
        return rgb * self.gains()[step.view].to(rgb.dtype) + self.offsets()[step.view].to(rgb.dtype)

    def after_backward(self, step: Step) -> None:
        self.adam.step(step.done)
        self.adam.forget_gradients()

    def arrays(self) -> dict[str, np.ndarray]:
        values = {"log_gain": self.log_gain, "offset": self.offset}
        held = {name: value.detach().numpy().copy() for name, value in values.items()}
        return held | {f"adam.{k}": v for k, v in self.adam.arrays().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name, value in {"log_gain": self.log_gain, "offset": self.offset}.items():
            value.data.copy_(torch.from_numpy(arrays[name]))
        self.adam.restore({k.removeprefix("adam."): v for k, v in arrays.items() if k.startswith("adam.")})
