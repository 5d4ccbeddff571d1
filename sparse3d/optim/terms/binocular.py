"""A view drawn from a little to the side, warped back by its depth, shows the photo (Binocular3DGS, Han et al. 2024).

The camera moves by a random baseline b along its x axis; a pixel of depth z then lies f * b / z pixels to the side (their
disparity), and the loss is the L1 distance of the side view's colour there from the photo. Gradients reach the colours of
the side view and, through the disparity, the depth. What the side view hides is left out: its own depth tells.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.optim.losses import MIN_ALPHA
from sparse3d.optim.terms.interface import Step, Term
from sparse3d.optim.warping import reproject, same_surface, sample
from sparse3d.render.rasterise import RenderOutput, rasterise

OCCLUSION = 0.02
"""Relative difference of depth from which the side view sees something else: twice the prior's consistency threshold."""


@dataclass(frozen=True)
class BinocularConfig:
    """Settings of `Binocular`.

    Attributes:
        weight: of the term in the loss; 0 turns it off.
        every: iterations from one use to the next, since each one draws a further picture.
        baseline: largest shift of the camera, as a share of the photo's median depth.
    """

    weight: float = 0.0
    every: int = 3
    baseline: float = 0.08

    def __post_init__(self) -> None:
        if self.weight < 0 or self.every < 1 or self.baseline <= 0:
            raise ValueError(f"binocular: weight >= 0, every >= 1 and baseline > 0 expected, got {self}")


class Binocular(Term):
    """Draws a side view now and then."""

    def __init__(self, config: BinocularConfig) -> None:
        self.config = config

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""] | None:
        known = step.prior.depths[step.view].depth
        known = known[known > 0]
        if step.iteration % self.config.every or len(known) == 0:
            return None
        draw = 2 * float(torch.rand((), generator=step.generator)) - 1
        camera = step.camera()
        side = beside(camera, draw * self.config.baseline * float(known.median()))
        shown = rasterise(step.gaussians, side, options=step.render)
        return self.config.weight * binocular_loss(
            output, shown, camera, side, step.prior.images[step.view], step.prior.masks[step.view]
        )


def beside(camera: Cameras, baseline: float) -> Cameras:
    """One view moved along its x axis (scene units)."""
    shift = torch.eye(4, dtype=camera.cam_from_world.dtype)
    shift[0, 3] = -baseline
    return camera.replace(cam_from_world=shift @ camera.cam_from_world)


def binocular_loss(
    output: RenderOutput,
    shown: RenderOutput,
    camera: Cameras,
    side: Cameras,
    photo: Float[Tensor, "h w 3"],
    mask: Float[Tensor, "h w"],
) -> Float[Tensor, ""]:
    """Mean L1 of the side view, warped back, over what both views see.

    Args:
        output: the photo's view, whose depth warps.
        shown: the side view.
        camera, side: of the two.
        photo, mask: what the photo's view should show.
    """
    landing = reproject(output.depth[0], camera, side)
    visible = same_surface(landing, shown.depth[0], OCCLUSION) & (output.alpha[0] > MIN_ALPHA)
    weight = mask.to(output.depth.dtype) * visible
    difference = (sample(shown.rgb[0], landing.pixels) - photo).abs().mean(-1)
    return (weight * difference).sum() / weight.sum().clamp(min=1)
