"""Coarse Gaussians are split where the photos still differ from the rendering and the prior is sure of the surface.

Error-driven densification (Rota Bulò et al. 2024): a Gaussian's score is the photometric residual of the pixels
times its blending weight there, `E_k = max over photos of sum_u w_k(u) residual(u) confidence(u)`; sampling follows the prior
as in RDG-GS, which densifies where sampling is thin. The initialisation has a Gaussian a pixel but for flat regions that were
merged; so only those are split that are wider than a pixel, into two along their longest axis, and no more than a share of
the present ones.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparse3d.core import se3
from sparse3d.core.gaussians import GaussianParams, concatenate_params
from sparse3d.optim.pixel_size import pixel_size_at
from sparse3d.optim.terms.interface import Edit, Step
from sparse3d.optim.terms.rounds import RoundsTerm
from sparse3d.render.rasterise import rasterise

SHRINK = 1.6
"""By how much a half is smaller along the split axis (3DGS, Kerbl et al. 2023, section 5.2)."""
OFFSET = 0.75
"""Of a half from the whole's centre, in the whole's standard deviations: with SHRINK it nearly keeps the second moment."""
MIN_WIDTH_PX = 1.2
"""Standard deviation from which a Gaussian blurs pixels that the photos tell apart: twice that of one made from a pixel."""


@dataclass(frozen=True)
class DensifyConfig:
    """Settings of `Densify`.

    Attributes:
        share: of the present Gaussians that a round may split at most; 0 turns it off.
        at: shares of the iterations after which a round takes place.
    """

    share: float = 0.0
    at: tuple[float, ...] = (0.25, 0.5)

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or not all(0 <= share <= 1 for share in self.at):
            raise ValueError(f"densify: shares in [0, 1] expected, got {self}")


class Densify(RoundsTerm):
    """Splits Gaussians at a few points of the optimisation."""

    def __init__(self, config: DensifyConfig) -> None:
        super().__init__(config.at)
        self.config = config

    def edit(self, step: Step, params: GaussianParams) -> Edit | None:
        if not self.is_due(step):
            return None
        width = params.log_scales.exp().amax(1) / pixel_size_at(params.means, step.prior.cameras)
        scores = torch.where(width >= MIN_WIDTH_PX, residual_scores(step, params), 0.0)
        most = int(self.config.share * len(params))
        chosen = scores.argsort(descending=True, stable=True)[:most]
        chosen = chosen[scores[chosen] > 0]
        if len(chosen) == 0:
            return None
        keep = torch.ones(len(params), dtype=torch.bool)
        keep[chosen] = False
        return Edit(keep, split(params, chosen))


def residual_scores(step: Step, params: GaussianParams) -> Float[Tensor, " n"]:
    """Each Gaussian's share of the residual that the prior's confidence counts, in the photo where it is largest."""
    gaussians = params.activate()
    scores = torch.zeros(len(params))
    for view, photo in enumerate(step.prior.images):
        # The blended sum's derivative to a Gaussian's figure is the sum of its blending weights: autograd does the rest.
        ones = torch.ones(len(params), 1, requires_grad=True)
        with torch.no_grad():
            camera = step.cameras([view])
        output = rasterise(gaussians, camera, features=ones, options=replace(step.render, depth=False))
        assert output.features is not None  # asked for
        residual = (output.rgb[0].detach() - photo).abs().mean(-1)
        sure = residual * step.prior.depths[view].confidence * step.prior.masks[view]
        (weights,) = torch.autograd.grad((output.features[0, ..., 0] * sure).sum(), ones)
        scores = torch.maximum(scores, weights[:, 0])
    return scores


def split(params: GaussianParams, chosen: Int[Tensor, " m"]) -> GaussianParams:
    """Two Gaussians for each of the chosen ones, side by side along its longest axis."""
    whole = params.select(chosen).detached()
    axis = whole.log_scales.argmax(1)
    rotation = se3.quat_wxyz_to_rotation(torch.nn.functional.normalize(whole.quats_wxyz, dim=1))
    index = torch.arange(len(whole))
    shift = rotation[index, :, axis] * whole.log_scales[index, axis].exp()[:, None] * OFFSET
    log_scales = whole.log_scales.clone()
    log_scales[index, axis] -= float(np.log(SHRINK))
    halves = [whole.replace(means=whole.means + sign * shift, log_scales=log_scales.clone()) for sign in (-1.0, 1.0)]
    return concatenate_params(halves)
