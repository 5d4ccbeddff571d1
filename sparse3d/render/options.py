"""How Gaussians are drawn and what comes out: the types that every backend shares."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Backend = Literal["auto", "cpu", "reference"]

DEPTH_MIN_ALPHA = 1e-3
"""Depth is the mean over what was blended; where less than this was, it is unknown and given as 0."""


@dataclass(frozen=True)
class RenderOptions:
    """How to draw.

    Attributes:
        backend: `cpu` (compiled), `reference` (plain torch, slow, any dtype), or `auto`: `cpu` if it is installed.
        background: colour behind the Gaussians, in [0, 1].
        near: Gaussians whose centre is nearer than this are not drawn, in scene units.
        eps2d: added to the diagonal of every projected covariance, in square pixels: the pixel's own footprint.
        antialias: scale opacities down by what eps2d blew a small Gaussian up (Yu et al. 2024, Mip-Splatting).
        threads: None: as many as torch uses. Pictures do not depend on it.
        depth: draw the depth map; leaving it out saves about a tenth of the time.
        statistics: record each Gaussian's footprint and blending weights.
    """

    backend: Backend = "auto"
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    near: float = 0.01
    eps2d: float = 0.3
    antialias: bool = False
    threads: int | None = None
    depth: bool = True
    statistics: bool = False

    def __post_init__(self) -> None:
        if self.near <= 0 or self.eps2d < 0:
            raise ValueError(f"RenderOptions: near={self.near} must be positive and eps2d={self.eps2d} not negative")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"RenderOptions: threads={self.threads}, expected None or at least 1")


@dataclass(frozen=True)
class RenderStatistics:
    """What each Gaussian contributed to each view; zero for one that was not drawn.

    Attributes:
        radii: larger half-extent of the footprint (where its opacity passes 1/255), in pixels.
        weight_sum: sum over pixels of its blending weight.
        weight_max: its largest blending weight in any pixel.
        centre_gradients: gradient of the loss to the projected centre, in 1/pixels; zeros until the backward pass ran.
    """

    radii: Float[Tensor, "view n"]
    weight_sum: Float[Tensor, "view n"]
    weight_max: Float[Tensor, "view n"]
    centre_gradients: Float[Tensor, "view n 2"]


@dataclass(frozen=True)
class RenderOutput:
    """What the views show.

    Attributes:
        rgb: colours over the background; not limited to 1.
        alpha: opacity in [0, 1].
        depth: mean z-depth of what was blended, in scene units; 0 where alpha is below `DEPTH_MIN_ALPHA`, and everywhere
            if depth was not asked for.
        features: extra channels, summed by blending weight (not divided by alpha, nothing behind them); None if none.
        statistics: None unless asked for.
    """

    rgb: Float[Tensor, "view h w 3"]
    alpha: Float[Tensor, "view h w"]
    depth: Float[Tensor, "view h w"]
    features: Float[Tensor, "view h w c"] | None = None
    statistics: RenderStatistics | None = None


def mean_depth(weighted: Float[Tensor, "*view h w"], alpha: Float[Tensor, "*view h w"]) -> Float[Tensor, "*view h w"]:
    """Mean z-depth from the sum of weight * z; 0 where too little was blended to tell."""
    known = alpha > DEPTH_MIN_ALPHA
    return torch.where(known, weighted / torch.where(known, alpha, 1.0), 0.0)
