"""A step as the optimiser hands it to its terms."""

import torch

from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.cameras import CameraParameters
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.splats import SplatOptimiser
from sparse3d.optim.terms.interface import Step
from sparse3d.render.rasterise import RenderOptions, RenderOutput, rasterise


def step_of(params: GaussianParams, prior: GeometryPrior, *, view: int = 0, done: float = 0.5) -> Step:
    """One step over a prior's view; its Gaussians are leaves that take gradients."""
    return Step(
        iteration=int(100 * done),
        done=done,
        view=view,
        prior=prior,
        cameras=CameraParameters(prior.cameras, scene_depth=3.0, refine_poses=True, refine_focal=True),
        gaussians=SplatOptimiser(params, prior.cameras, OptimConfig()).drawn,
        confidence=params.confidence,
        observations=params.observations,
        render=RenderOptions(),
        generator=torch.Generator().manual_seed(0),
    )


def rendered(step: Step, options: RenderOptions | None = None) -> RenderOutput:
    """What the step's photo shows of its Gaussians."""
    return rasterise(step.gaussians, step.camera(), options=options or step.render)
