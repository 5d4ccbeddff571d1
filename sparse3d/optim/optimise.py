"""The joint optimisation of Gaussians and cameras (InstantSplat, Fan et al. 2024, section 3.3), with the terms of `optim.terms`."""

import logging
import time
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.progress import CheckpointStore, ProgressCallback, StopTraining
from sparse3d.optim.state import OptimiserState
from sparse3d.render.rasterise import RenderOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OptimResult:
    """What `optimise` returns.

    Attributes:
        gaussians: after pruning.
        cameras: the prior's full-size cameras, refined.
        working_cameras: the same views as undistorted pinholes at the size trained on, refined.
        history: one entry a logged iteration: iteration, loss, psnr, seconds.
        iterations_done: fewer than asked for when interrupted.
        layers: figures for each of the Gaussians that terms leave, by name (`Term.layers`).
        interrupted: the user stopped it (Ctrl-C, or `StopTraining` from the callback); what was done is here.
    """

    gaussians: GaussianParams
    cameras: Cameras
    working_cameras: Cameras
    history: tuple[dict[str, float], ...]
    iterations_done: int
    interrupted: bool
    layers: dict[str, Float[Tensor, " n"]] = field(default_factory=dict)


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
    config = config.for_photos(len(prior.cameras))
    orders = _view_orders(len(prior.cameras), config, seed)
    state = OptimiserState(gaussians, prior, config, iterations=len(orders), seed=seed)
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
    kept, layers = state.finished()
    return OptimResult(
        gaussians=kept,
        cameras=state.cameras.apply_to(prior.full_cameras),
        working_cameras=state.cameras.apply_to(prior.cameras),
        history=tuple(state.history),
        iterations_done=iteration,
        interrupted=interrupted,
        layers=layers,
    )


def _view_orders(photos: int, config: OptimConfig, seed: int) -> list[list[int]]:
    """The photos of each step: every one once, in a new order, again and again."""
    generator = torch.Generator().manual_seed(seed)
    steps, together = config.steps(photos), config.views_per_step or photos
    orders: list[list[int]] = []
    while len(orders) < steps:
        shuffled = torch.randperm(photos, generator=generator).tolist()
        orders += [shuffled[first : first + together] for first in range(0, photos, together)]
    return orders[:steps]
