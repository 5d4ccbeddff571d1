"""Correlation of rendered depth with the prior's and with the photo's structure."""

import dataclasses

import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.optim.terms.relative_depth import (
    RelativeDepth,
    RelativeDepthConfig,
    correlation,
    cut,
    similarity,
    structure_loss,
)

WHOLE = RelativeDepthConfig(weight=1.0, reduction=2)
PATCHES = RelativeDepthConfig(patch_weight=1.0, patch=6, reduction=2)


def with_depths(prior, change):
    """The prior with other depth, view by view."""
    depths = tuple(dataclasses.replace(d, depth=change(d.depth)) for d in prior.depths)
    return dataclasses.replace(prior, depths=depths)


def loss_of(config, params, prior):
    step = step_of(params, prior)
    return RelativeDepth(config).loss(step, rendered(step))


def test_correlation_is_pearsons():
    x, y = torch.rand(2, 1, 50, dtype=torch.float64) + 1
    expected = torch.corrcoef(torch.cat([x, y]))[0, 1]
    assert torch.allclose(correlation(x, y, torch.ones_like(x), 0.0), expected)
    weights = torch.cat([torch.ones(1, 25), torch.zeros(1, 25)], 1).double()
    expected = torch.corrcoef(torch.cat([x, y])[:, :25])[0, 1]
    assert torch.allclose(correlation(x, y, weights, 0.0), expected)


def test_the_gradients_are_right():
    generator = torch.Generator().manual_seed(1)
    x = (1 + 0.1 * torch.rand(6, 9, generator=generator, dtype=torch.float64)).requires_grad_()
    y = 1 + 0.1 * torch.rand(6, 9, generator=generator, dtype=torch.float64)
    weights = torch.rand(6, 9, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: correlation(x, y, weights, 0.003), x)
    alike = similarity(y, 0.02).detach()
    assert torch.autograd.gradcheck(lambda x: structure_loss(x, weights[:, 0], alike), x)


def test_a_row_without_relief_or_weight_asks_for_nothing():
    flat = torch.full((1, 9), 2.0)
    x = (flat + 1e-4 * torch.rand(1, 9)).requires_grad_()
    correlation(x, flat, torch.ones_like(flat), 0.003).sum().backward()
    assert x.grad is not None and float(x.grad.abs().max()) < 1e-3
    assert float(correlation(x, flat + torch.rand(1, 9), torch.zeros(1, 9), 0.003).detach()) == 0


def test_patches_are_squares_of_the_map():
    patches = cut(torch.arange(30.0).reshape(5, 6, 1), 2, [1, 1])
    assert patches.shape == (4, 4, 1)
    assert patches[1, :, 0].tolist() == [9, 10, 15, 16]


@pytest.mark.parametrize("config", [WHOLE, PATCHES])
def test_the_scale_of_the_prior_does_not_count_and_its_shape_does(scene, config):
    params, prior = scene
    right = float(loss_of(config, params, prior).detach())
    scaled = float(loss_of(config, params, with_depths(prior, lambda d: 1.3 * d)).detach())
    wrong = float(loss_of(config, params, with_depths(prior, lambda d: 6 - d)).detach())
    assert right < 0.1
    assert abs(scaled - right) < 1e-4
    assert wrong > 1.5


def test_a_patch_sees_relief_that_the_whole_misses(scene):
    """A ramp over the photo hides the relief from the correlation over all of it (the point of SparseGS)."""
    params, prior = scene
    ramp = torch.linspace(0, 3, 64)
    tilted = params.replace(means=params.means + torch.tensor([0, 0, 1.0]) * (params.means[:, :1] + 2.2) * 0.7)
    other = with_depths(prior, lambda d: d.mean() + ramp.expand_as(d))
    whole, patches = (float(loss_of(config, tilted, other).detach()) for config in (WHOLE, PATCHES))
    assert whole < 0.15 and patches > 2 * whole


def test_what_is_not_confident_does_not_count(scene):
    params, prior = scene
    depths = tuple(dataclasses.replace(d, confidence=torch.zeros_like(d.confidence)) for d in prior.depths)
    step = step_of(params, dataclasses.replace(prior, depths=depths))
    RelativeDepth(PATCHES).loss(step, rendered(step)).backward()
    assert step.gaussians.means.grad is not None
    assert float(step.gaussians.means.grad.abs().max()) == 0


def test_descent_restores_the_relief(scene):
    params, prior = scene
    params = params.replace(means=params.means * torch.tensor([1, 1, 0.0]) + torch.tensor([0, 0, 3.0]))
    step = step_of(params, prior)
    term = RelativeDepth(WHOLE)
    before = float(term.loss(step, rendered(step)).detach())
    for _ in range(20):
        term.loss(step, rendered(step)).backward()
        gradient = step.gaussians.means.grad
        assert gradient is not None
        step.gaussians.means.data -= 0.02 * gradient / gradient.abs().max()
        step.gaussians.means.grad = None
    assert float(term.loss(step, rendered(step)).detach()) < 0.5 * before


def test_structure_prefers_depth_that_bends_where_the_photo_does():
    generator = torch.Generator().manual_seed(3)
    shapes = torch.rand(3, 16, generator=generator)
    kind = torch.randint(3, (40,), generator=generator)
    alike = similarity(shapes[kind], 0.02)
    seen = torch.ones(40)
    like = 1 + 0.1 * shapes.roll(1, 1)[kind]
    unlike = 1 + 0.1 * shapes[torch.randint(3, (40,), generator=generator)]
    assert float(structure_loss(like, seen, alike)) < 0.1
    assert float(structure_loss(unlike, seen, alike)) > 0.5


def test_structure_is_part_of_the_loss(scene):
    params, prior = scene
    config = RelativeDepthConfig(structure_weight=1.0, patch=4, reduction=2)
    step = step_of(params, prior)
    loss = RelativeDepth(config).loss(step, rendered(step))
    loss.backward()
    assert 0 < float(loss.detach()) < 2
    assert step.gaussians.means.grad is not None
    assert float(step.gaussians.means.grad.abs().max()) > 0


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="relative_depth"):
        RelativeDepthConfig(weight=-1.0)
    with pytest.raises(ValueError, match="patch=1"):
        RelativeDepthConfig(patch=1)
