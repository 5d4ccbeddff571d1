"""How far each Gaussian may be off: a map of the colour error to expect of a new view, and weights by it (UNG-GS, Tan et al. 2025).

Each Gaussian can learn a scale s by Laplace's likelihood of the residuals, |r| / s + log s (Kendall and Gal 2017, eq. 5 and 8 with
an absolute residual; Martin-Brualla et al. 2021, eq. 13), through the blending of its own map. The residuals and the blending are
constants to it, so that colours and shapes do not change by it unless `weighting` is on. What was trained on hardly errs,
however, and tells little of other views: the figure that a run leaves, the layer "uncertainty", rests on what was known before
(`optim.expected_error`), and the learned scale is a part of it where there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams, Gaussians
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.evidence import contrast_around, left_out_errors, owner_views
from sparse3d.optim.expected_error import expected_error
from sparse3d.optim.terms.interface import Edit, Step, Term
from sparse3d.render.rasterise import RenderOptions, RenderOutput, rasterise

BETA1, BETA2, EPS = 0.9, 0.99, 1e-15
"""Of Adam; each Gaussian counts its own steps, as most views do not show it."""
MIN_SCALE = 1e-3
"""A quarter of one of 255 levels: no photo is known better."""
SHRINK = 2
"""The scale is learned at this share of the resolution."""


@dataclass(frozen=True)
class UncertaintyConfig:
    """Settings of `Uncertainty`.

    Attributes:
        layer: whether a run leaves the expected error of each Gaussian; it costs one rendering a photo.
        rate: Adam's step of the scale's logarithm; 0: nothing is learned.
        every: iterations between two of its steps.
        weighting: pixels that are less certain than the median of the photo count less in the photometric loss, by the ratio.
    """

    layer: bool = True
    rate: float = 0.0
    every: int = 2
    weighting: bool = False

    def __post_init__(self) -> None:
        if self.rate < 0 or self.every < 1:
            raise ValueError(f"uncertainty: rate={self.rate} must not be negative, every={self.every} at least 1")


class Uncertainty(Term):
    """Knows, and learns, how far Gaussians may be off.

    Args:
        prior: gives the photos that tell.
        params: the Gaussians at the start.
    """

    def __init__(self, config: UncertaintyConfig, prior: GeometryPrior, params: GaussianParams) -> None:
        self.config = config
        owners = owner_views(params, prior.cameras)
        self.left_out = left_out_errors(params, prior, owners, RenderOptions())
        self.contrast = contrast_around(params, prior, owners)
        start = expected_error(self.left_out, self.contrast, params.confidence, params.observations)
        self.log_scales = start.clamp(min=MIN_SCALE).log()
        self.first, self.second, self.steps = (torch.zeros_like(start) for _ in range(3))

    def uncertainty(self, step: Step) -> Float[Tensor, " n"] | None:
        """The scales, for the weights alone; they learn by a rendering of their own."""
        return self.log_scales.exp() if self.config.weighting else None

    def weights(self, step: Step, output: RenderOutput, mask: Float[Tensor, "1 h w"]) -> Float[Tensor, "1 h w"]:
        """Less where the map exceeds its median; what nothing covers keeps its weight, so that something may come there."""
        if not self.config.weighting or output.uncertainty is None:
            return mask
        scale = output.uncertainty.detach()
        known = scale > 0
        if not known.any():
            return mask
        return torch.where(known, mask * (scale[known].median() / scale.clamp(min=MIN_SCALE)).clamp(max=1), mask)

    def after_backward(self, step: Step) -> None:
        """One step of the scales of all that the photo shows."""
        if self.config.rate == 0 or step.iteration % self.config.every:
            return
        loss, leaf = scale_loss(self.log_scales, step)
        loss.backward()
        assert leaf.grad is not None
        self._adam(leaf.grad)

    def _adam(self, gradient: Float[Tensor, " n"]) -> None:
        shown = gradient != 0
        g = gradient[shown]
        self.steps[shown] += 1
        self.first[shown] += (1 - BETA1) * (g - self.first[shown])
        self.second[shown] += (1 - BETA2) * (g * g - self.second[shown])
        first = self.first[shown] / (1 - BETA1 ** self.steps[shown])
        second = self.second[shown] / (1 - BETA2 ** self.steps[shown])
        moved = self.log_scales[shown] - self.config.rate * first / (second.sqrt() + EPS)
        self.log_scales[shown] = moved.clamp(min=float(np.log(MIN_SCALE)), max=0)

    def edited(self, edit: Edit) -> None:
        """New Gaussians start with the median of what is known of the others."""
        for name in FIGURES:
            kept = getattr(self, name)[edit.keep]
            if edit.added is not None:
                fill = (
                    kept.nanmedian() if name == "contrast" or name == "log_scales" else kept.new_tensor(UNKNOWN[name])
                )
                kept = torch.cat([kept, fill.expand(len(edit.added))])
            setattr(self, name, kept)

    def layers(self, params: GaussianParams, keep: Bool[Tensor, " n"]) -> dict[str, Float[Tensor, " kept"]]:
        """The expected colour error of what is kept."""
        if not self.config.layer:
            return {}
        learned = self.log_scales.exp() if self.config.rate > 0 else None
        found = expected_error(self.left_out, self.contrast, params.confidence, params.observations, learned)
        return {"uncertainty": found[keep]}

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name).numpy().copy() for name in FIGURES}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name in FIGURES:
            setattr(self, name, torch.from_numpy(arrays[name].copy()))


FIGURES = ("left_out", "contrast", "log_scales", "first", "second", "steps")
"""What is kept of each Gaussian."""
UNKNOWN = {"left_out": float("nan"), "first": 0.0, "second": 0.0, "steps": 0.0}
"""Of a Gaussian that came later."""


def scale_loss(log_scales: Float[Tensor, " n"], step: Step) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
    """Mean over the photo of |r| / s + log s, at a smaller size, and the leaf that takes its gradient.

    Gaussians and cameras are constants.
    """
    width, height = (max(1, side // SHRINK) for side in step.prior.cameras.sizes[step.view])
    camera = _constant(step.camera()).resized([(width, height)])
    drawn = Gaussians(**{name: value.detach() for name, value in vars(step.gaussians).items()})
    leaf = log_scales.detach().clone().requires_grad_()
    options = replace(step.render, depth=False)
    output = rasterise(drawn, camera, uncertainty=leaf.exp(), options=options)
    assert output.uncertainty is not None  # it was asked for
    photo, mask = (
        torch.nn.functional.adaptive_avg_pool2d(x, (height, width))
        for x in (step.prior.images[step.view].permute(2, 0, 1), step.prior.masks[step.view][None])
    )
    residual = (output.rgb[0].detach() - photo.permute(1, 2, 0)).abs().mean(-1)
    return laplace_loss(output.uncertainty[0], residual, mask[0] * (output.uncertainty[0].detach() > 0)), leaf


def laplace_loss(
    scale: Float[Tensor, "h w"], residual: Float[Tensor, "h w"], weight: Float[Tensor, "h w"]
) -> Float[Tensor, ""]:
    """Negative logarithm of Laplace's likelihood but for a constant, weighted mean; least where the scale is |r|."""
    safe = scale.clamp(min=MIN_SCALE)
    return (weight * (residual / safe + safe.log())).sum() / weight.sum().clamp(min=1)


def _constant(cameras: Cameras) -> Cameras:
    return cameras.replace(cam_from_world=cameras.cam_from_world.detach(), K=cameras.K.detach())
