"""Gaussians as something to optimise: centres step in pixels, the surer the shorter."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams, Gaussians, concatenate_params, with_sh_degree
from sparse3d.kernels.adam import SplatArrays, SplatRates, SplatState
from sparse3d.optim.adam import step_splats
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.splat_state import join_states, select_state, start_state
from sparse3d.optim.terms.interface import Edit

ARRAYS = ("values", "first", "second")
FIXED = ("mean_rates", "min_log_scales", "max_log_scales")
KNOWN = ("confidence", "observations")
"""Names of what a stopped run needs: of the optimised arrays, of what their steps are bounded by, of what is known besides."""


class SplatOptimiser:
    """The Gaussians' parameters, what is drawn of them, and Adam's moments.

    The step takes the loss's gradients to what is *drawn*, wherever they come from: autograd leaves them in `drawn`.

    Args:
        params: where to start.
        cameras: give the size of a pixel at each Gaussian, which is the unit of its centre's steps.
        config: the rates and bounds.
    """

    def __init__(self, params: GaussianParams, cameras: Cameras, config: OptimConfig) -> None:
        self.config, self.cameras, self.iteration = config, cameras, 0
        params = with_sh_degree(params.detached(), config.sh_degree)
        self._hold(params, start_state(params, cameras, config))

    def _hold(self, template: GaussianParams, state: SplatState) -> None:
        """Take these as the present parameters and state; the template tells what is known of each Gaussian."""
        self.template = template
        self.drawn = Gaussians(*(t.detach().requires_grad_() for t in vars(state.drawn).values()))
        # A step writes into `state.drawn`; its means, quaternions and colours are the parameters themselves.
        values = state.values
        self.drawn.means.data, self.drawn.quats_wxyz.data, self.drawn.sh.data = (
            values.means,
            values.quats_wxyz,
            values.sh,
        )
        self.state = replace(state, drawn=Gaussians(*(t.detach() for t in vars(self.drawn).values())))

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

    def edit(self, edit: Edit) -> None:
        """Leave Gaussians out and put new ones behind the others; these start without moments."""
        template, state = self.live().select(edit.keep), select_state(self.state, edit.keep)
        if edit.added is not None:
            added = with_sh_degree(edit.added.detached(), self.config.sh_degree)
            template = concatenate_params([template, added])
            state = join_states(state, start_state(added, self.cameras, self.config))
        self._hold(template, state)

    def live(self) -> GaussianParams:
        """The present parameters themselves, which the next step changes."""
        return self.template.replace(**vars(self.state.values))

    def params(self) -> GaussianParams:
        """A copy of the present parameters."""
        params = self.live()
        return params.replace(quats_wxyz=torch.nn.functional.normalize(params.quats_wxyz, dim=1)).detached()

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that `restore` needs."""
        arrays = {f"{part}.{k}": v.numpy() for part in ARRAYS for k, v in vars(getattr(self.state, part)).items()}
        arrays |= {f"drawn.{k}": v.numpy() for k, v in vars(self.state.drawn).items()}
        arrays |= {f"fixed.{k}": getattr(self.state, k).numpy() for k in FIXED}
        return (
            arrays
            | {f"known.{k}": getattr(self.template, k).numpy() for k in KNOWN}
            | {"iteration": np.array(self.iteration)}
        )

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to a saved state."""

        def tensors(prefix: str) -> dict[str, torch.Tensor]:
            found = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            return {k: torch.from_numpy(v.copy()) for k, v in found.items()}

        fixed = tensors("fixed.")
        state = SplatState(
            values=SplatArrays(**tensors("values.")),
            first=SplatArrays(**tensors("first.")),
            second=SplatArrays(**tensors("second.")),
            drawn=Gaussians(**tensors("drawn.")),
            mean_rates=fixed["mean_rates"],
            min_log_scales=fixed["min_log_scales"],
            max_log_scales=fixed["max_log_scales"],
        )
        self.iteration = int(arrays["iteration"])
        self._hold(GaussianParams(**vars(state.values), **tensors("known.")), state)
