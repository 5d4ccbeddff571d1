"""How Gaussians are drawn and what comes out: the types that every backend shares."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Backend = Literal["auto", "cpu", "cuda", "gsplat", "reference"]

DEPTH_MIN_ALPHA = 1e-3
"""Depth and uncertainty are means over what was blended; where less than this was, they are unknown and given as 0."""
MAX_FEATURES = 32
"""Extra channels that one pass blends; the uncertainty counts as one."""


@dataclass(frozen=True)
class RenderOptions:
    """How to draw.

    Attributes:
        backend: `cpu` (compiled), `cuda` (compiled, for tensors on a GPU), `gsplat` (that package, for tensors on a GPU),
            `reference` (plain torch, slow, any dtype and device), or `auto`: `cuda` for tensors on a GPU, else `cpu` if it
            is installed.
        background: colour behind the Gaussians, in [0, 1].
        near: Gaussians whose centre is nearer than this are not drawn, in scene units.
        eps2d: added to the diagonal of every projected covariance, in square pixels: the pixel's own footprint.
        antialias: scale opacities down by what eps2d blew a small Gaussian up (Yu et al. 2024, Mip-Splatting).
        threads: None: as many as torch uses. Pictures do not depend on it. GPUs do without.
        depth: draw the mean depth; leaving it out saves about a tenth of the time.
        median_depth: draw the depth at which half of the light is gone.
        normals: draw the Gaussians' normals.
        statistics: record each Gaussian's footprint and blending weights.
    """

    backend: Backend = "auto"
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    near: float = 0.01
    eps2d: float = 0.3
    antialias: bool = False
    threads: int | None = None
    depth: bool = True
    median_depth: bool = False
    normals: bool = False
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
        median_depth: z-depth of the Gaussian at which the transmittance first falls below 1/2, in scene units; 0 where none
            takes it there. Its gradient goes to that Gaussian's z alone. None unless asked for.
        normals: sum of blending weight * normal, in world space. A Gaussian's normal is the axis of its smallest scale (the
            first of equal ones), turned towards the camera; the gradient goes to its rotation, and takes the choice of axis
            and side as constant. None unless asked for.
        uncertainty: mean of the given figures over what was blended, as for depth; None if none were given.
    """

    rgb: Float[Tensor, "view h w 3"]
    alpha: Float[Tensor, "view h w"]
    depth: Float[Tensor, "view h w"]
    features: Float[Tensor, "view h w c"] | None = None
    statistics: RenderStatistics | None = None
    median_depth: Float[Tensor, "view h w"] | None = None
    normals: Float[Tensor, "view h w 3"] | None = None
    uncertainty: Float[Tensor, "view h w"] | None = None


def mean_of_blended(
    weighted: Float[Tensor, "*view h w"], alpha: Float[Tensor, "*view h w"]
) -> Float[Tensor, "*view h w"]:
    """Mean from the sum of weight * value; 0 where too little was blended to tell."""
    known = alpha > DEPTH_MIN_ALPHA
    return torch.where(known, weighted / torch.where(known, alpha, 1.0), 0.0)
