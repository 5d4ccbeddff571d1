"""A scale of the residuals for each Gaussian, and what it is used for."""

import dataclasses

import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.terms.interface import Edit
from sparse3d.optim.terms.uncertainty import Uncertainty, UncertaintyConfig, laplace_loss, scale_loss
from sparse3d.render.rasterise import RenderOptions, rasterise

LEARNING = UncertaintyConfig(rate=0.1, every=1)


def spoiled(prior):
    """The first photo is wrong in its left half."""
    image = prior.images[0].clone()
    image[:, :32] = 1 - image[:, :32]
    return dataclasses.replace(prior, images=(image, *prior.images[1:]))


def test_gradient_of_the_likelihood(generator):
    scale = (0.05 + torch.rand(4, 5, generator=generator, dtype=torch.float64)).requires_grad_()
    residual, weight = (torch.rand(4, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda s: laplace_loss(s, residual, weight), (scale,))


def test_the_likelihood_is_best_where_the_scale_is_the_residual():
    residual = torch.full((3, 3), 0.2)
    losses = [float(laplace_loss(torch.full((3, 3), s), residual, torch.ones(3, 3))) for s in (0.1, 0.2, 0.4)]
    assert min(losses) == losses[1]


def test_scales_learn_where_the_photo_differs(scene):
    params, prior = scene
    prior = spoiled(prior)
    term = Uncertainty(LEARNING, prior, params)
    term.log_scales = torch.full((len(params),), 0.1).log()
    for iteration in range(80):
        term.after_backward(dataclasses.replace(step_of(params, prior), iteration=iteration))
    step = step_of(params, prior)
    found = rasterise(step.gaussians, step.camera(), uncertainty=term.log_scales.exp()).uncertainty
    assert found is not None
    error = (rendered(step).rgb[0] - prior.images[0]).abs().mean(-1)
    wrong, right = error[:, 4:28].mean(), error[:, 36:].mean()
    assert float(found[0, :, 4:28].mean()) == pytest.approx(float(wrong), rel=0.5)
    assert float(found[0, :, 36:].mean()) < 0.1 * float(wrong)
    assert float(right) < 0.01


def test_learning_leaves_colours_and_shapes_alone(scene):
    params, prior = scene
    step = step_of(params, prior)
    loss, leaf = scale_loss(torch.zeros(len(params)), step)
    loss.backward()
    assert leaf.grad is not None and bool((leaf.grad != 0).any())
    assert all(tensor.grad is None for tensor in vars(step.gaussians).values())
    start = params.replace(sh=params.sh + 0.1)
    results = [
        optimise(start, prior, OptimConfig(passes=4, uncertainty=config), render=RenderOptions(), seed=0)
        for config in (UncertaintyConfig(layer=False), LEARNING)
    ]
    assert torch.equal(results[0].gaussians.sh, results[1].gaussians.sh)
    assert torch.equal(results[0].gaussians.means, results[1].gaussians.means)
    assert not results[0].layers


def test_weighting_lets_uncertain_pixels_count_less(scene):
    params, prior = scene
    term = Uncertainty(dataclasses.replace(LEARNING, weighting=True), prior, params)
    left = params.means[:, 0] < 0
    term.log_scales = torch.where(left, 0.4, 0.04).log()
    step = step_of(params, prior)
    output = rasterise(step.gaussians, step.camera(), uncertainty=term.uncertainty(step))
    weights = term.weights(step, output, torch.ones(1, 48, 64))
    assert float(weights.max()) == 1
    assert float(weights[..., :16].mean()) < 0.5 * float(weights[..., 48:].mean())
    off = Uncertainty(LEARNING, prior, params)
    assert off.uncertainty(step) is None


def test_the_run_leaves_the_expected_error_of_what_it_keeps(scene):
    params, prior = scene
    faint = params.logit_opacities.clone()
    faint[::3] = -12.0
    config = OptimConfig(passes=2, opacity_lr=0.0)
    result = optimise(params.replace(logit_opacities=faint), prior, config, render=RenderOptions(), seed=0)
    assert len(result.gaussians) < len(params)
    assert result.layers["uncertainty"].shape == (len(result.gaussians),)
    assert bool((result.layers["uncertainty"] > 0).all())


def test_figures_follow_the_gaussians(scene):
    params, prior = scene
    term = Uncertainty(LEARNING, prior, params)
    keep = torch.arange(len(params)) % 2 == 0
    contrast = term.contrast
    term.edited(Edit(keep, params.select(torch.arange(len(params)) < 5)))
    assert len(term.log_scales) == len(term.left_out) == int(keep.sum()) + 5
    assert torch.equal(term.contrast[:-5], contrast[keep])
    assert bool(term.left_out[-5:].isnan().all())
    assert bool(term.log_scales.isfinite().all())


def test_a_stopped_run_goes_on_with_its_scales(scene):
    params, prior = scene
    whole, half = (Uncertainty(LEARNING, prior, params) for _ in range(2))
    for iteration in range(6):
        whole.after_backward(dataclasses.replace(step_of(params, prior), iteration=iteration))
        if iteration == 2:
            half.restore(whole.arrays())
    for iteration in range(3, 6):
        half.after_backward(dataclasses.replace(step_of(params, prior), iteration=iteration))
    assert torch.equal(half.log_scales, whole.log_scales)


@pytest.mark.parametrize("bad", [{"rate": -0.1}, {"every": 0}])
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValueError, match="uncertainty"):
        UncertaintyConfig(**bad)
