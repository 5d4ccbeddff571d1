"""The joint optimisation of Gaussians and cameras (InstantSplat, Fan et al. 2024, section 3.3, without densification)."""

import logging
import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.camera_adam import CameraAdam, Rate
from sparse3d.optim.cameras import CameraParameters
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.losses import depth_loss
from sparse3d.optim.progress import CheckpointStore, Progress, ProgressCallback, Snapshot, StopTraining
from sparse3d.optim.splats import SplatOptimiser, pixel_size_at
from sparse3d.render.losses import photometric_loss
from sparse3d.render.rasterise import RenderOptions, rasterise

logger = logging.getLogger(__name__)

SMOOTHING = 0.9
"""Share of the past in the running loss and PSNR that are shown: one photo's figure jumps."""

STATE_FORMAT = 3
"""Of the arrays that a stopped run leaves; raised when they change their meaning."""


@dataclass(frozen=True)
class OptimResult:
    """What `optimise` returns.

    Attributes:
        gaussians: after pruning.
        cameras: the prior's full-size cameras, refined.
        working_cameras: the same views as undistorted pinholes at the size trained on, refined.
        history: one entry a logged iteration: iteration, loss, psnr, seconds.
        iterations_done: fewer than asked for when interrupted.
        interrupted: the user stopped it (Ctrl-C, or `StopTraining` from the callback); what was done is here.
    """

    gaussians: GaussianParams
    cameras: Cameras
    working_cameras: Cameras
    history: tuple[dict[str, float], ...]
    iterations_done: int
    interrupted: bool


def optimise(
    gaussians: GaussianParams,
    prior: GeometryPrior,
    config: OptimConfig,
    *,
    render: RenderOptions,
    seed: int,
    on_progress: ProgressCallback | None = None,
    checkpoints: CheckpointStore | None = None,
) -> OptimResult:
    """Fit Gaussians and cameras to the photos.

    The same seed, inputs and thread count give the same bytes on the CPU.

    Args:
        gaussians: where to start, in the prior's world.
        prior: cameras, undistorted photos, masks and depth to fit.
        config: the schedule.
        render: how to draw.
        seed: of the order in which photos are visited.
        on_progress: called every `config.log_every` iterations; it may block, or raise `StopTraining`.
        checkpoints: where to keep the state; a run that was killed goes on from there.

    Raises:
        ValueError: there is no Gaussian to optimise.
    """
    if len(gaussians) == 0:
        raise ValueError("no Gaussians to optimise: the prior gave no depth")
    orders = _view_orders(len(prior.cameras), config.passes, seed)
    state = _State(gaussians, prior, config, iterations=len(orders))
    iteration = state.restore(checkpoints)
    started = last_checkpoint = time.monotonic()
    interrupted = False
    try:
        while iteration < len(orders):
            state.step(iteration, orders[iteration], render)
            iteration += 1
            now = time.monotonic()
            if iteration % config.log_every == 0 or iteration == len(orders):
                state.log(iteration, now - started, on_progress)
                started += time.monotonic() - now  # a pause is not time spent on optimising
            if checkpoints is not None and now - last_checkpoint > config.checkpoint_every_s:
                checkpoints.save(state.arrays(iteration))
                last_checkpoint = now
    except (KeyboardInterrupt, StopTraining):
        interrupted = True
        logger.warning("interrupted after %d of %d iterations: keeping what is done", iteration, len(orders))
    if checkpoints is not None:
        checkpoints.save(state.arrays(iteration))
    return state.result(iteration, interrupted)


class _State:
    """Everything that changes while optimising."""

    def __init__(
        self, gaussians: GaussianParams, prior: GeometryPrior, config: OptimConfig, *, iterations: int
    ) -> None:
        self.config, self.prior, self.iterations = config, prior, iterations
        self.splats = SplatOptimiser(gaussians, pixel_size_at(gaussians.means, prior.cameras), config)
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
        self.loss = self.mse = math.nan

    def step(self, iteration: int, view: int, render: RenderOptions) -> None:
        """Render one photo, compare, step."""
        done = iteration / max(1, self.iterations - 1)
        target = self.prior.images[view][None]
        mask = self.prior.masks[view][None]
        output = rasterise(self.splats.drawn, self.cameras([view]), options=render)
        photometric = photometric_loss(
            output.rgb, target, ssim_weight=self.config.ssim_weight, mask=mask, threads=render.threads
        )
        loss = photometric.loss
        if self.config.depth_weight > 0:
            depth = self.prior.depths[view]
            loss = loss + self.config.depth_weight * depth_loss(
                output.depth[0], output.alpha[0], depth.depth, self.confidences[view], threads=render.threads
            )
        self.splats.forget_gradients()
        self.camera_adam.forget_gradients()
        loss.backward()
        self.splats.step(done, render.threads or torch.get_num_threads())
        if iteration >= self.config.camera_start:
            self.camera_adam.step(done)
        self._observe(float(loss.detach()), float(photometric.mse))

    def _observe(self, loss: float, mse: float) -> None:
        keep = SMOOTHING if math.isfinite(self.loss) else 0.0
        self.loss = loss if keep == 0 else keep * self.loss + (1 - keep) * loss
        self.mse = mse if keep == 0 else keep * self.mse + (1 - keep) * mse

    def log(self, iteration: int, seconds: float, on_progress: ProgressCallback | None) -> None:
        psnr = -10 * math.log10(max(self.mse, 1e-12))
        self.history.append({"iteration": float(iteration), "loss": self.loss, "psnr": psnr, "seconds": seconds})
        if on_progress is not None:
            on_progress(Progress(iteration, self.iterations, self.loss, psnr, seconds, self.snapshot))

    def snapshot(self) -> Snapshot:
        """Copies of the Gaussians, none left out yet, and of the cameras."""
        return Snapshot(self.splats.params(), self.cameras.apply_to(self.prior.cameras))

    def arrays(self, iteration: int) -> dict[str, np.ndarray]:
        """Everything that `restore` needs, as plain arrays."""
        arrays = {f"splats.{k}": v for k, v in self.splats.arrays().items()}
        arrays |= {f"cameras.{k}": v.detach().numpy() for k, v in self.cameras.named_parameters()}
        arrays |= {f"camera_adam.{k}": v for k, v in self.camera_adam.arrays().items()}
        columns = ("iteration", "loss", "psnr", "seconds")
        arrays["history"] = np.array([[row[c] for c in columns] for row in self.history]).reshape(-1, len(columns))
        arrays["format"] = np.array(STATE_FORMAT)
        arrays["progress"] = np.array([iteration, self.loss, self.mse])
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
        columns = ("iteration", "loss", "psnr", "seconds")
        self.history = [dict(zip(columns, map(float, row), strict=True)) for row in arrays["history"]]
        iteration, self.loss, self.mse = (float(x) for x in arrays["progress"])
        logger.info("going on from iteration %d of a run that was stopped", int(iteration))
        return int(iteration)

    def result(self, iteration: int, interrupted: bool) -> OptimResult:
        params = self.splats.params()
        sound = (
            params.means.isfinite().all(1) & params.log_scales.isfinite().all(1) & params.sh.isfinite().all(2).all(1)
        )
        keep = sound & (params.logit_opacities.sigmoid() >= self.config.min_opacity)
        if not keep.any():
            raise ValueError("no Gaussian survived the optimisation: its learning rates are too high for this scene")
        return OptimResult(
            gaussians=params.select(keep),
            cameras=self.cameras.apply_to(self.prior.full_cameras),
            working_cameras=self.cameras.apply_to(self.prior.cameras),
            history=tuple(self.history),
            iterations_done=iteration,
            interrupted=interrupted,
        )


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin so, without the prefix."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _view_orders(views: int, passes: int, seed: int) -> list[int]:
    """A view for each iteration: every photo once, in a new order, again and again."""
    generator = torch.Generator().manual_seed(seed)
    return [view for _ in range(passes) for view in torch.randperm(views, generator=generator).tolist()]


def _median_depth(prior: GeometryPrior) -> float:
    known = [d.depth[d.depth > 0] for d in prior.depths]
    values = torch.cat([k.flatten() for k in known])
    if len(values) == 0:
        raise ValueError("the prior has no depth in any view")
    return float(values.median())
