"""Everything that changes while optimising, and one step of it."""

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.camera_adam import CameraAdam, Rate
from sparse3d.optim.cameras import CameraParameters
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.losses import depth_loss
from sparse3d.optim.progress import CheckpointStore, Progress, ProgressCallback, Snapshot
from sparse3d.optim.running import RunningFit
from sparse3d.optim.splats import SplatOptimiser
from sparse3d.optim.terms.build import build_terms
from sparse3d.optim.terms.interface import Step
from sparse3d.render.losses import photometric_loss
from sparse3d.render.rasterise import RenderOptions, RenderOutput, rasterise

logger = logging.getLogger(__name__)

STATE_FORMAT = 4
"""Of the arrays that a stopped run leaves; raised when they change their meaning."""


class OptimiserState:
    """Everything that changes while optimising."""

    def __init__(
        self, gaussians: GaussianParams, prior: GeometryPrior, config: OptimConfig, *, iterations: int, seed: int
    ) -> None:
        self.config, self.prior, self.iterations, self.seed = config, prior, iterations, seed
        self.splats = SplatOptimiser(gaussians, prior.cameras, config)
        self.terms = build_terms(config, prior, gaussians)
        self.cameras = CameraParameters(
            prior.cameras,
            scene_depth=_median_depth(prior),
            refine_poses=config.refine_poses,
            refine_focal=config.refine_focal,
        )
        rates = {
            "rotation": config.rotation_lr_rad,
            "translation": config.translation_lr,
            "log_focal": config.focal_lr,
        }
        self.camera_adam = CameraAdam(
            {name: getattr(self.cameras, name) for name in rates},
            {name: Rate(rate, config.camera_lr_final) for name, rate in rates.items()},
        )
        self.confidences = [d.confidence * mask for d, mask in zip(prior.depths, prior.masks, strict=True)]
        self.history: list[dict[str, float]] = []
        self.fit = RunningFit()

    def step(self, iteration: int, views: Sequence[int], render: RenderOptions) -> None:
        """Render photos, compare, step by the mean of their gradients."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        steps = [self._as_step(iteration, view, render, generator) for view in views]
        self.splats.forget_gradients()
        self.camera_adam.forget_gradients()
        found = [self._backward(step, len(steps)) for step in steps]
        step = steps[-1]
        self.splats.step(step.done, render.threads or torch.get_num_threads())
        if iteration >= self.config.camera_start:
            self.camera_adam.step(step.done)
        for term in self.terms.values():
            term.after_backward(step)
        self._edit(step)
        self.fit.add(*(sum(values) / len(steps) for values in zip(*found, strict=True)))

    def _backward(self, step: Step, photos: int) -> tuple[float, float]:
        """Add a photo's share to the gradients; returns its photometric loss and mean square error."""
        output = self._render(step)
        mask = self.prior.masks[step.view][None]
        for term in self.terms.values():
            mask = term.weights(step, output, mask)
        photometric = photometric_loss(
            output.rgb,
            self.prior.images[step.view][None],
            ssim_weight=self.config.ssim_weight,
            mask=mask,
            threads=step.render.threads,
        )
        ((photometric.loss + self._further_loss(step, output)) / photos).backward()
        return float(photometric.loss.detach()), float(photometric.mse)

    def _as_step(self, iteration: int, view: int, render: RenderOptions, generator: torch.Generator) -> Step:
        return Step(
            iteration=iteration,
            done=iteration / max(1, self.iterations - 1),
            view=view,
            prior=self.prior,
            cameras=self.cameras,
            gaussians=self.splats.drawn,
            confidence=self.splats.template.confidence,
            observations=self.splats.template.observations,
            render=render,
            generator=generator,
        )

    def _render(self, step: Step) -> RenderOutput:
        """The step's photo as the Gaussians show it, through every term's hands."""
        gaussians, options, uncertainty = step.gaussians, step.render, None
        for term in self.terms.values():
            options = term.options(options)
            gaussians = term.draw(step, gaussians)
            own = term.uncertainty(step)
            uncertainty = uncertainty if own is None else own
        output = rasterise(gaussians, step.camera(), uncertainty=uncertainty, options=options)
        rgb = output.rgb
        for term in self.terms.values():
            rgb = term.picture(step, rgb)
        return dataclasses.replace(output, rgb=rgb)

    def _further_loss(self, step: Step, output: RenderOutput) -> Tensor:
        """All that is minimised beside the photometric loss."""
        loss = output.rgb.new_zeros(())
        if self.config.depth_weight > 0:
            prior = self.prior.depths[step.view].depth
            confidence, threads = self.confidences[step.view], step.render.threads
            found = depth_loss(output.depth[0], output.alpha[0], prior, confidence, threads=threads)
            loss = loss + self.config.depth_weight * found
        for term in self.terms.values():
            own = term.loss(step, output)
            loss = loss if own is None else loss + own
        return loss

    def _edit(self, step: Step) -> None:
        """Terms may change the set of Gaussians."""
        for term in self.terms.values():
            edit = term.edit(step, self.splats.live())
            if edit is None:
                continue
            self.splats.edit(edit)
            for other in self.terms.values():
                other.edited(edit)

    def log(self, iteration: int, seconds: float, on_progress: ProgressCallback | None) -> None:
        entry = self.fit.entry(iteration, seconds)
        self.history.append(entry)
        if on_progress is not None:
            on_progress(Progress(iteration, self.iterations, entry["loss"], entry["psnr"], seconds, self.snapshot))

    def snapshot(self) -> Snapshot:
        """Copies of the Gaussians, none left out yet, and of the cameras."""
        return Snapshot(self.splats.params(), self.cameras.apply_to(self.prior.cameras))

    def arrays(self, iteration: int) -> dict[str, np.ndarray]:
        """Everything that `restore` needs, as plain arrays."""
        arrays = {f"splats.{k}": v for k, v in self.splats.arrays().items()}
        arrays |= {f"cameras.{k}": v.detach().numpy() for k, v in self.cameras.named_parameters()}
        arrays |= {f"camera_adam.{k}": v for k, v in self.camera_adam.arrays().items()}
        arrays |= {f"terms.{name}.{k}": v for name, term in self.terms.items() for k, v in term.arrays().items()}
        columns = ("iteration", "loss", "psnr", "seconds")
        arrays["history"] = np.array([[row[c] for c in columns] for row in self.history]).reshape(-1, len(columns))
        arrays["format"] = np.array(STATE_FORMAT)
        arrays["progress"] = np.array([iteration, self.fit.loss, self.fit.mse])
        return arrays

    def restore(self, checkpoints: CheckpointStore | None) -> int:
        """Go back to a saved state; returns the iteration to go on with."""
        arrays = checkpoints.load() if checkpoints is not None else None
        if arrays is None:
            return 0
        if int(arrays.get("format", 0)) != STATE_FORMAT:
            logger.warning("the state of the run that was stopped is of another version: optimising from the start")
            return 0
        self.splats.restore(_under("splats.", arrays))
        for name, value in self.cameras.named_parameters():
            value.data.copy_(torch.from_numpy(arrays[f"cameras.{name}"]))
        self.camera_adam.restore(_under("camera_adam.", arrays))
        for name, term in self.terms.items():
            term.restore(_under(f"terms.{name}.", arrays))
        columns = ("iteration", "loss", "psnr", "seconds")
        self.history = [dict(zip(columns, map(float, row), strict=True)) for row in arrays["history"]]
        iteration, loss, mse = (float(x) for x in arrays["progress"])
        self.fit = RunningFit(loss, mse)
        logger.info("going on from iteration %d of a run that was stopped", int(iteration))
        return int(iteration)

    def finished(self) -> tuple[GaussianParams, dict[str, Tensor]]:
        """The Gaussians that are worth keeping, and the terms' figures for each of them.

        Raises:
            ValueError: there are none.
        """
        params = self.splats.params()
        sound = (
            params.means.isfinite().all(1) & params.log_scales.isfinite().all(1) & params.sh.isfinite().all(2).all(1)
        )
        keep = sound & (params.logit_opacities.sigmoid() >= self.config.min_opacity)
        if not keep.any():
            raise ValueError("no Gaussian survived the optimisation: its learning rates are too high for this scene")
        layers = {name: values for term in self.terms.values() for name, values in term.layers(params, keep).items()}
        return params.select(keep), layers


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin so, without the prefix."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _median_depth(prior: GeometryPrior) -> float:
    known = [d.depth[d.depth > 0] for d in prior.depths]
    values = torch.cat([k.flatten() for k in known])
    if len(values) == 0:
        raise ValueError("the prior has no depth in any view")
    return float(values.median())
