"""Matched pixels of two photos show one point (the flow loss of CoherentGS, Paliwal et al. 2024).

A pixel of view i that the prior knows with confidence falls on a pixel of view j; the match counts where the prior's depth
there means the same surface. Rendered depth in i, lifted to the world, then has to land where rendered depth in j does:
`weight * mean(confidence * rho(|X_i - X_j| / depth))`, with a Charbonnier rho of 1 %. Rendered depth in j is the one of its
last visit, so that the term draws nothing. Gradients reach the depth of i and both cameras.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.losses import DEPTH_SOFTNESS, MIN_ALPHA
from sparse3d.optim.terms.interface import Step, Term
from sparse3d.optim.warping import nearest_views, reproject, same_surface, sample
from sparse3d.render.rasterise import RenderOutput

AGREEMENT = 0.01
"""Relative difference of the prior's depths within which two pixels are a match: the prior's consistency threshold."""
STRIDE = 2
"""Every second pixel of every second row is matched: depth is smooth, and it saves three quarters of the time."""
NEIGHBOURS = 2
"""Views that each one is matched with: one on either side, say."""


@dataclass(frozen=True)
class FlowConfig:
    """Settings of `Flow`.

    Attributes:
        weight: of the term in the loss; 0 turns it off.
    """

    weight: float = 0.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"flow.weight must not be negative, got {self.weight}")


@dataclass(frozen=True)
class Matches:
    """Of one view with another.

    Attributes:
        other: the other view.
        rows, columns: of the matched pixels in this view.
        pixels: (x, y) of the matches in the other view.
        confidence: the lesser one of the two pixels'.
    """

    other: int
    rows: Int[Tensor, " k"]
    columns: Int[Tensor, " k"]
    pixels: Float[Tensor, "k 2"]
    confidence: Float[Tensor, " k"]


class Flow(Term):
    """Compares with the depths that the other views had when they were last visited."""

    def __init__(self, config: FlowConfig, prior: GeometryPrior) -> None:
        self.config = config
        self.matches = [
            [find_matches(prior, view, other) for other in nearest_views(prior.cameras, view, NEIGHBOURS)]
            for view in range(len(prior.cameras))
        ]
        self.depths: dict[int, Float[Tensor, "_h _w"]] = {}

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""] | None:
        camera, terms = step.camera(), []
        for found in self.matches[step.view]:
            if found.other in self.depths and len(found.pixels):
                there = step.cameras([found.other])
                terms.append(flow_loss(output, camera, self.depths[found.other], there, found))
        self.depths[step.view] = torch.where(output.alpha > MIN_ALPHA, output.depth, 0.0)[0].detach()
        return self.config.weight * torch.stack(terms).mean() if terms else None

    def arrays(self) -> dict[str, np.ndarray]:
        return {str(view): depth.numpy() for view, depth in self.depths.items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.depths = {int(view): torch.from_numpy(depth.copy()) for view, depth in arrays.items()}


def find_matches(prior: GeometryPrior, view: int, other: int) -> Matches:
    """The pixels of a view that the prior shows in another one, where both are supported by other views."""
    own, theirs = prior.depths[view], prior.depths[other]
    landing = reproject(own.depth, prior.cameras.select([view]), prior.cameras.select([other]))
    vouched = torch.where(theirs.support > 0, theirs.confidence * prior.masks[other], 0.0)
    there = sample(vouched[..., None].to(own.depth.dtype), landing.pixels, nearest=True)[..., 0]
    confidence = torch.minimum(own.confidence * prior.masks[view], there)
    here = same_surface(landing, theirs.depth, AGREEMENT) & (own.support > 0) & (confidence > 0)
    thinned = torch.zeros_like(here)
    thinned[::STRIDE, ::STRIDE] = here[::STRIDE, ::STRIDE]
    rows, columns = thinned.nonzero(as_tuple=True)
    return Matches(other, rows, columns, landing.pixels[rows, columns], confidence[rows, columns])


def flow_loss(
    output: RenderOutput, camera: Cameras, depth: Float[Tensor, "h w"], there: Cameras, matches: Matches
) -> Float[Tensor, ""]:
    """Mean distance of matched points as a share of their depth, robust.

    Args:
        output: this view as rendered.
        camera: this view's.
        depth: the other view's, not positive where unknown.
        there: the other view's camera.
        matches: of this view in the other one.
    """
    rows, columns = matches.rows, matches.columns
    own_z = output.depth[0, rows, columns]
    other_z, nearest = (
        sample(depth[..., None], matches.pixels[None], nearest=choice)[0, :, 0] for choice in (False, True)
    )
    # Where the nearest pixel is far from the mean of its neighbours an edge runs through: there is no one depth.
    smooth = (nearest > 0) & ((other_z - nearest).abs() < AGREEMENT * nearest)
    sound = smooth & (output.alpha[0, rows, columns] > MIN_ALPHA)
    other_z = torch.where(sound, other_z, torch.ones_like(other_z))
    other_from_own = (there.cam_from_world[0] @ se3.invert(camera.cam_from_world[0])).to(own_z.dtype)
    own_point = se3.transform_points(
        other_from_own, _lift(torch.stack([columns, rows], 1).to(own_z.dtype) + 0.5, own_z, camera)
    )
    square = ((own_point - _lift(matches.pixels, other_z, there)) / other_z[:, None]).square().sum(-1)
    robust = DEPTH_SOFTNESS * (torch.sqrt(1 + square / DEPTH_SOFTNESS**2) - 1)
    weight = matches.confidence * sound
    return (weight * robust).sum() / weight.sum().clamp(min=1)


def _lift(pixels: Float[Tensor, "k 2"], depth: Float[Tensor, " k"], camera: Cameras) -> Float[Tensor, "k 3"]:
    """Points in a camera's frame."""
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[:, :1])], 1)
    return (homogeneous @ torch.linalg.inv(camera.K[0].to(depth.dtype)).T) * depth[:, None]
