"""Gaussians as something to optimise: centres step in pixels, the surer the shorter."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams, Gaussians, with_sh_degree
from sparse3d.optim.config import OptimConfig


class GaussianModel(nn.Module):
    """The parameters that Adam steps in.

    Adam's step does not depend on the size of a gradient, so a rate for each Gaussian has to be a change of variables:
    `means = start + step * offset`, with `step` the size of a pixel at the Gaussian times the confidence factor of
    InstantSplat (Fan et al. 2024), `1 + (beta - 1) * (1 - confidence)`, divided by beta so that it is at most one pixel.
    """

    start_means: Tensor
    step: Tensor
    min_log_scales: Tensor
    max_log_scales: Tensor

    def __init__(self, params: GaussianParams, pixel_size: Float[Tensor, " n"], config: OptimConfig) -> None:
        super().__init__()
        params = with_sh_degree(params.detached(), config.sh_degree)
        self.template = params
        factor = 1 + (config.confidence_beta - 1) * (1 - params.confidence.clamp(0, 1))
        self.register_buffer("start_means", params.means)
        self.register_buffer("step", (pixel_size * factor)[:, None])
        bounds = _scale_bounds(params.log_scales, config)
        self.register_buffer("min_log_scales", bounds[0])
        self.register_buffer("max_log_scales", bounds[1])
        self.offsets = nn.Parameter(torch.zeros_like(params.means))
        self.quats_wxyz = nn.Parameter(params.quats_wxyz)
        self.log_scales = nn.Parameter(params.log_scales)
        self.logit_opacities = nn.Parameter(params.logit_opacities)
        self.sh_dc = nn.Parameter(params.sh[:, :1].contiguous())
        self.sh_rest = nn.Parameter(params.sh[:, 1:].contiguous())

    def parameter_groups(self, config: OptimConfig) -> list[dict]:
        """Adam's parameter groups; `decay` names the schedule of each."""
        groups = [
            {"params": [self.offsets], "lr": config.mean_lr_px, "decay": config.mean_lr_final},
            {"params": [self.quats_wxyz], "lr": config.quat_lr, "decay": 1.0},
            {"params": [self.log_scales], "lr": config.scale_lr, "decay": 1.0},
            {"params": [self.logit_opacities], "lr": config.opacity_lr, "decay": 1.0},
            {"params": [self.sh_dc], "lr": config.colour_lr, "decay": 1.0},
        ]
        if self.sh_rest.shape[1]:
            groups.append({"params": [self.sh_rest], "lr": config.sh_rest_lr, "decay": 1.0})
        return groups

    def forward(self) -> Gaussians:
        """The Gaussians to draw now, differentiable."""
        sh = torch.cat([self.sh_dc, self.sh_rest], dim=1) if self.sh_rest.shape[1] else self.sh_dc
        means = self.start_means + self.step * self.offsets
        return Gaussians(means, self.quats_wxyz, self.log_scales.exp(), self.logit_opacities.sigmoid(), sh)

    @torch.no_grad()
    def constrain(self) -> None:
        """Keep scales within their bounds."""
        torch.clamp(self.log_scales, self.min_log_scales, self.max_log_scales, out=self.log_scales)

    @torch.no_grad()
    def params(self) -> GaussianParams:
        """The present state as plain parameters."""
        return self.template.replace(
            means=self.start_means + self.step * self.offsets,
            quats_wxyz=torch.nn.functional.normalize(self.quats_wxyz, dim=1),
            log_scales=self.log_scales.clone(),
            logit_opacities=self.logit_opacities.clone(),
            sh=torch.cat([self.sh_dc, self.sh_rest], dim=1),
        ).detached()


def _scale_bounds(
    log_scales: Float[Tensor, "n 3"], config: OptimConfig
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 1"]]:
    """Smallest and largest logarithmic scales; the thinnest axis, along the surface's normal, may be as thin as it likes."""
    largest = log_scales.amax(1, keepdim=True)
    smallest = log_scales.amin(1, keepdim=True)
    # Of the two axes across the surface the shorter one sets the bound: a slanted disc is longer than a pixel is wide.
    across = log_scales.sum(1, keepdim=True) - largest - smallest
    floor = across + math.log(max(config.min_scale, MIN_SCALE))
    thin = torch.nn.functional.one_hot(log_scales.argmin(1), 3).bool()
    lower = torch.where(thin, torch.full_like(log_scales, -torch.inf), floor.expand(-1, 3))
    return lower, largest + math.log(config.max_scale)


MIN_SCALE = 1e-6
"""Stands for no lower bound at all."""


def pixel_size_at(means: Float[Tensor, "n 3"], cameras: Cameras) -> Float[Tensor, " n"]:
    """Size in scene units of one pixel at each point, in the view that sees it closest (views behind it do not count)."""
    depth = se3.transform_points(cameras.cam_from_world.float(), means[None].expand(len(cameras), -1, -1))[..., 2]
    size = depth / cameras.K[:, 0, 0].float()[:, None]
    size = torch.where(depth > 0, size, torch.full_like(size, torch.inf)).amin(0)
    finite = size[size.isfinite()]
    fallback = float(finite.median()) if len(finite) else 1.0
    return torch.where(size.isfinite(), size, torch.full_like(size, fallback))
