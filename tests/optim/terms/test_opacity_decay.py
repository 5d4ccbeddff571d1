"""Opacities of what several views do not support."""

from dataclasses import replace

import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.core.gaussians import concatenate_params
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.terms.dropout import DropoutConfig
from sparse3d.optim.terms.opacity_decay import MIN_WEIGHT, OpacityDecay, OpacityDecayConfig
from sparse3d.priors.backdrop import BACKDROP_CONFIDENCE
from sparse3d.render.rasterise import RenderOptions, rasterise


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


def test_the_backdrop_is_not_pulled(scene):
    params, prior = scene
    backdrop = torch.full((len(params),), BACKDROP_CONFIDENCE)
    step = step_of(params.replace(observations=torch.zeros_like(params.observations), confidence=backdrop), prior)
    term = OpacityDecay(OpacityDecayConfig(weight=0.5))
    assert float(term.loss(step, rendered(step, term.options(step.render))).detach()) == 0


def test_holes_are_the_share_of_the_photo_that_shows_nothing(scene):
    params, prior = scene
    masked = replace(
        prior, masks=tuple((torch.arange(m.shape[1]) < 10).float().expand_as(m).clone() for m in prior.masks)
    )
    step = step_of(params, masked)
    term = OpacityDecay(OpacityDecayConfig(cover=2.0))
    assert not term.options(step.render).statistics
    output = rendered(step)
    alpha = torch.rand(
        output.alpha.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).requires_grad_()
    loss = term.loss(step, replace(output, alpha=alpha))
    assert torch.allclose(loss, 2 * (1 - alpha[0, :, :10]).mean())
    assert torch.autograd.gradcheck(lambda a: term.loss(step, replace(output, alpha=a)), alpha)


def test_what_thins_out_is_filled_again(scene):
    """Gaussians of low opacity over black on a black photo: the picture is right, but it has holes."""
    params, prior = scene
    thin = params.replace(sh=torch.full_like(params.sh, -2.0), logit_opacities=torch.full((len(params),), -3.0))
    black = replace(prior, images=tuple(torch.zeros_like(image) for image in prior.images))

    def covered(cover: float) -> float:
        config = OptimConfig(
            passes=15,
            opacity_lr=0.05,
            dropout=DropoutConfig(),
            min_opacity=0.0,
            opacity_decay=OpacityDecayConfig(cover=cover),
        )
        result = optimise(thin, black, config, render=RenderOptions(), seed=0)
        return float(rasterise(result.gaussians.activate(), prior.cameras.select([0]).to(torch.float32)).alpha.mean())

    assert covered(1.0) > covered(0.0) + 0.2


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
        config = OptimConfig(
            passes=15,
            opacity_lr=0.05,
            dropout=DropoutConfig(),
            min_opacity=0.0,
            opacity_decay=OpacityDecayConfig(weight, cover=4 * weight),
        )
        result = optimise(start, prior, config, render=RenderOptions(), seed=0)
        return result.gaussians.logit_opacities.sigmoid().reshape(2, -1)[:, in_view].mean(1)

    without, decayed = opacities(0.0), opacities(1.0)
    assert decayed[1] < 0.7 * without[1]
    assert decayed[0] > 0.95 * without[0]


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match=r"opacity_decay\.weight"):
        OpacityDecayConfig(weight=-1.0)
    with pytest.raises(ValueError, match=r"opacity_decay\.cover"):
        OpacityDecayConfig(cover=-1.0)
