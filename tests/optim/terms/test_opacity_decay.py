"""Opacities of what several views do not support."""

import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.core.gaussians import concatenate_params
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.terms.opacity_decay import MIN_WEIGHT, OpacityDecay, OpacityDecayConfig
from sparse3d.render.rasterise import RenderOptions


def test_the_gradient_is_the_doubt_of_what_shows(scene):
    params, prior = scene
    observations = torch.arange(len(params)) % 3
    step = step_of(params.replace(observations=observations), prior)
    term = OpacityDecay(OpacityDecayConfig(weight=0.5))
    output = rendered(step, term.options(step.render))
    (found,) = torch.autograd.grad(term.loss(step, output), step.gaussians.opacities)
    assert output.statistics is not None
    doubt = torch.where(observations > 1, 1 - params.confidence, 1.0)
    shows = output.statistics.weight_max[0] > MIN_WEIGHT
    assert 0 < int(shows.sum()) < len(params)
    assert torch.allclose(found, 0.5 * doubt * shows / len(params))


def test_what_no_photo_needs_fades_and_the_supported_stays(scene):
    """A veil of the scene's own colours hangs before it: the photos do not mind, but no second view supports it."""
    params, prior = scene
    params = params.replace(confidence=torch.ones(len(params)))
    veil = params.replace(
        means=params.means - torch.tensor([0.0, 0.0, 0.05]),
        logit_opacities=torch.full((len(params),), -1.0),
        observations=torch.zeros(len(params), dtype=torch.long),
    )
    start = concatenate_params([params, veil])
    in_view = params.means[:, :2].abs().amax(1) < 1

    def opacities(weight: float) -> torch.Tensor:
        config = OptimConfig(passes=15, min_opacity=0.0, opacity_decay=OpacityDecayConfig(weight))
        result = optimise(start, prior, config, render=RenderOptions(), seed=0)
        return result.gaussians.logit_opacities.sigmoid().reshape(2, -1)[:, in_view].mean(1)

    without, decayed = opacities(0.0), opacities(1.0)
    assert decayed[1] < 0.7 * without[1]
    assert decayed[0] > 0.95 * without[0]


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match=r"opacity_decay\.weight"):
        OpacityDecayConfig(weight=-1.0)
