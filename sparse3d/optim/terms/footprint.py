"""Gaussians are to stay about as large as the pixels that see them, and about round.

Few photos do not tell a large or long Gaussian from many small ones: it fits a colour in one view and smears in all
others. Mip-Splatting (Yu et al. 2024, section 5.1) takes the pixel's footprint in the camera that sees a Gaussian closest
as the finest detail known of it; here that footprint limits the scales from above, softly. The anisotropy regulariser of
PhysGaussian (Xie et al. 2024) limits the ratio of the axes. Both come on top of the optimiser's hard bounds
(`OptimConfig.min_scale`, `max_scale`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams
from sparse3d.optim.pixel_size import pixel_size_at
from sparse3d.optim.terms.interface import Edit, Step, Term
from sparse3d.render.rasterise import RenderOutput


@dataclass(frozen=True)
class FootprintConfig:
    """Settings of `Footprint`.

    Attributes:
        weight: of the mean squared excess, in natural logarithms; 0 turns it off.
        max_footprints: longest standard deviation that costs nothing, in footprints. A footprint is the pixel's size at the
            Gaussian in the nearest camera; a Gaussian that stands for many pixels of one colour has its first size instead.
        max_ratio: of the two axes across the surface, that costs nothing; the thin one along its normal may be as thin
            as it likes.
    """

    weight: float = 0.0
    max_footprints: float = 1.5
    max_ratio: float = 3.0

    def __post_init__(self) -> None:
        if self.weight < 0 or self.max_footprints <= 0 or self.max_ratio < 1:
            raise ValueError(
                f"footprint: weight={self.weight} must not be negative, max_footprints={self.max_footprints} positive and "
                f"max_ratio={self.max_ratio} at least 1"
            )


class Footprint(Term):
    """A soft limit of Gaussians' sizes and of their length over width."""

    def __init__(self, config: FootprintConfig, cameras: Cameras, params: GaussianParams) -> None:
        self.config, self.cameras = config, cameras
        self.log_limits = self._log_limits(params)

    def _log_limits(self, params: GaussianParams) -> Float[Tensor, " n"]:
        """Logarithm of the longest scale that costs nothing."""
        pixels = pixel_size_at(params.means, self.cameras)
        own = params.log_scales.median(
            1
        ).values  # the shorter axis across: a slanted disc is longer than its pixel is wide
        return torch.maximum(pixels.log(), own) + math.log(self.config.max_footprints)

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""]:
        """Mean over the Gaussians of the squared excess of size and of ratio."""
        logs = step.gaussians.scales.clamp(min=1e-12).log()
        longest = logs.amax(1)
        across = logs.sum(1) - longest - logs.amin(1)
        size = (longest - self.log_limits).relu()
        ratio = (longest - across - math.log(self.config.max_ratio)).relu()
        return self.config.weight * (size.square() + ratio.square()).mean()

    def edited(self, edit: Edit) -> None:
        """New Gaussians have a limit of their own."""
        added = [] if edit.added is None else [self._log_limits(edit.added)]
        self.log_limits = torch.cat([self.log_limits[edit.keep], *added])

    def arrays(self) -> dict[str, np.ndarray]:
        """The limits: they are those of the first sizes."""
        return {"log_limits": self.log_limits.numpy()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to saved limits."""
        self.log_limits = torch.from_numpy(arrays["log_limits"].copy())
