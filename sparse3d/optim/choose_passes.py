"""How long to optimise, by what photos that were left out say: early stopping without photos to spare.

Each photo in turn is kept back together with the Gaussians that it made; the others are fitted for as long as the longest choice,
and on the way the one kept back is rendered. Depth is not done again, so that it knows the photo kept back: the figures flatter,
but alike for every choice.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.evidence import COVERED, owner_views
from sparse3d.optim.optimise import optimise
from sparse3d.optim.progress import Progress, Snapshot
from sparse3d.optim.terms.uncertainty import UncertaintyConfig
from sparse3d.render.rasterise import RenderOptions, rasterise

logger = logging.getLogger(__name__)

MIN_PHOTOS = 3
"""One is kept back, and the others are to overlap."""


@dataclass(frozen=True)
class PassesFound:
    """What `choose_passes` found.

    Attributes:
        passes: the choice with the highest mean PSNR; of equal ones the shortest.
        psnr: the means, in dB, in the order of the choices.
    """

    passes: int
    psnr: tuple[float, ...]


def choose_passes(
    gaussians: GaussianParams,
    prior: GeometryPrior,
    config: OptimConfig,
    choices: Sequence[int],
    *,
    render: RenderOptions,
    seed: int,
) -> PassesFound:
    """The number of passes after which photos that were left out look best.

    Args:
        gaussians: the first ones, as `initialise_gaussians` made them of this prior.
        config: the schedule; its own passes do not matter.
        choices: numbers of passes, of as many photos as there are.
        render, seed: as in `optimise`.

    Raises:
        ValueError: fewer than three photos, no choice, or a number of iterations beside the choices.
    """
    count, choices = len(prior.cameras), sorted(set(choices))
    if count < MIN_PHOTOS or not choices or choices[0] < 1:
        raise ValueError(f"passes are chosen by {MIN_PHOTOS} photos or more among positive choices: {count}, {choices}")
    if config.iterations:
        raise ValueError(f"passes cannot be chosen beside a fixed number of iterations, {config.iterations}")
    owners = owner_views(gaussians, prior.cameras)
    pass_steps = config.steps_in_pass(count - 1)
    schedule = config.with_passes(choices[-1])
    longest = replace(schedule, log_every=pass_steps, uncertainty=UncertaintyConfig(layer=False))
    means = np.zeros(len(choices))
    for view in range(count):
        rest = [other for other in range(count) if other != view]
        found = dict.fromkeys(choices, 0.0)

        def look(progress: Progress, view: int = view, found: dict[int, float] = found) -> None:
            done = progress.iteration // pass_steps
            if done in found and progress.snapshot is not None:
                found[done] = _left_out_psnr(progress.snapshot(), prior, view, render)

        kept = gaussians.select(owners != view)
        optimise(kept, _select(prior, rest), longest, render=render, seed=seed, on_progress=look)
        means += np.array([found[choice] for choice in choices]) / count
    best = choices[int(means.argmax())]
    logger.info("passes %s: PSNR of photos left out %s dB, chosen %d", choices, means.round(2).tolist(), best)
    return PassesFound(best, tuple(means.tolist()))


def _select(prior: GeometryPrior, views: list[int]) -> GeometryPrior:
    """Some of a prior's views; all poses are known, so that the cameras stay in one world."""
    cameras = prior.cameras.select(views)
    known = (True,) * len(views)
    return replace(
        prior,
        cameras=cameras.replace(pose_known=known, intrinsics_known=known),
        full_cameras=prior.full_cameras.select(views),
        depths=tuple(prior.depths[v] for v in views),
        images=tuple(prior.images[v] for v in views),
        masks=tuple(prior.masks[v] for v in views),
        pose_sigmas=None,
    )


@torch.no_grad()
def _left_out_psnr(snapshot: Snapshot, prior: GeometryPrior, view: int, render: RenderOptions) -> float:
    """Over the pixels that the others' Gaussians cover."""
    camera = prior.cameras.select([view]).to(torch.float32)
    output = rasterise(snapshot.gaussians.activate(), camera, options=replace(render, depth=False))
    counted = (prior.masks[view] > 0) & (output.alpha[0] > COVERED)
    error = ((output.rgb[0].clamp(0, 1) - prior.images[view]) ** 2).mean(-1)[counted]
    return -10 * float(np.log10(max(float(error.mean()), 1e-12))) if len(error) else 0.0
