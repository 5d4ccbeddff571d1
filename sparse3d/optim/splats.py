"""Gaussians as something to optimise: centres step in pixels, the surer the shorter."""

import dataclasses
import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams, Gaussians, with_sh_degree
from sparse3d.kernels.adam import SplatArrays, SplatRates, SplatState
from sparse3d.optim.adam import step_splats
from sparse3d.optim.config import OptimConfig

MIN_SCALE = 1e-6
"""Stands for no lower bound at all."""


class SplatOptimiser:
    """The Gaussians' parameters, what is drawn of them, and Adam's moments.

    A centre's rate is the size of a pixel at the Gaussian times the confidence factor of InstantSplat (Fan et al. 2024),
    `1 + (beta - 1) * (1 - confidence)`, divided by beta so that a first step is at most one pixel.

    The step takes the loss's gradients to what is *drawn*, wherever they come from: autograd leaves them in `drawn`.

    Args:
        params: where to start.
        pixel_size: of each Gaussian in scene units, see `pixel_size_at`.
        config: the rates and bounds.
    """

    def __init__(self, params: GaussianParams, pixel_size: Float[Tensor, " n"], config: OptimConfig) -> None:
        params = with_sh_degree(params.detached(), config.sh_degree)
        self.template, self.config, self.iteration = params, config, 0
        names = [f.name for f in dataclasses.fields(SplatArrays)]
        values = SplatArrays(**{name: getattr(params, name).contiguous() for name in names})
        factor = 1 + (config.confidence_beta - 1) * (1 - params.confidence.clamp(0, 1))
        lower, upper = _scale_bounds(params.log_scales, config)
        self.drawn = _leaves(params.replace(**vars(values)).activate())
        self.state = SplatState(
            values=values,
            first=values.map(torch.zeros_like),
            second=values.map(torch.zeros_like),
            drawn=Gaussians(*(t.detach() for t in vars(self.drawn).values())),
            mean_rates=(pixel_size * factor)[:, None].repeat(1, 3),
            min_log_scales=lower,
            max_log_scales=upper.repeat(1, 3),
        )

    def forget_gradients(self) -> None:
        """Before the loss's backward pass: nothing is added to the gradients of the iteration before."""
        for tensor in vars(self.drawn).values():
            tensor.grad = None

    def step(self, done: float, threads: int) -> None:
        """One step of Adam, by the gradients that autograd left in `drawn`.

        Args:
            done: share of the iterations that are done, in [0, 1]: the centres' rate decays with it.
            threads: the result does not depend on it.
        """
        gradients = [torch.zeros_like(t) if t.grad is None else t.grad.contiguous() for t in vars(self.drawn).values()]
        self.iteration += 1
        step_splats(self.state, Gaussians(*gradients), self._rates(done), self.iteration, threads)

    def _rates(self, done: float) -> SplatRates:
        c = self.config
        return SplatRates(
            means=c.mean_lr_px * c.mean_lr_final**done,
            quats_wxyz=c.quat_lr,
            log_scales=c.scale_lr,
            logit_opacities=c.opacity_lr,
            sh_dc=c.colour_lr,
            sh_rest=c.sh_rest_lr,
        )

    def params(self) -> GaussianParams:
        """The present state as plain parameters."""
        quats = torch.nn.functional.normalize(self.state.values.quats_wxyz, dim=1)
        return self.template.replace(**(vars(self.state.values) | {"quats_wxyz": quats})).detached()

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that `restore` needs."""
        parts = {"values": self.state.values, "first": self.state.first, "second": self.state.second}
        arrays = {f"{part}.{k}": v.numpy() for part, held in parts.items() for k, v in vars(held).items()}
        drawn = {f"drawn.{k}": getattr(self.state.drawn, k).numpy() for k in ("scales", "opacities")}
        return arrays | drawn | {"iteration": np.array(self.iteration)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go back to a saved state."""
        for part in ("values", "first", "second"):
            for name, tensor in vars(getattr(self.state, part)).items():
                tensor.copy_(torch.from_numpy(arrays[f"{part}.{name}"]))
        self.iteration = int(arrays["iteration"])
        for name in ("scales", "opacities"):
            getattr(self.state.drawn, name).copy_(torch.from_numpy(arrays[f"drawn.{name}"]))


def _leaves(gaussians: Gaussians) -> Gaussians:
    return Gaussians(*(t.detach().requires_grad_() for t in vars(gaussians).values()))


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


def pixel_size_at(means: Float[Tensor, "n 3"], cameras: Cameras) -> Float[Tensor, " n"]:
    """Size in scene units of one pixel at each point, in the view that sees it closest (views behind it do not count)."""
    depth = se3.transform_points(cameras.cam_from_world.float(), means[None].expand(len(cameras), -1, -1))[..., 2]
    size = depth / cameras.K[:, 0, 0].float()[:, None]
    size = torch.where(depth > 0, size, torch.full_like(size, torch.inf)).amin(0)
    finite = size[size.isfinite()]
    fallback = float(finite.median()) if len(finite) else 1.0
    return torch.where(size.isfinite(), size, torch.full_like(size, fallback))
