"""Total variation of rendered disparity."""

import dataclasses

import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.optim.terms.disparity_smoothness import DisparitySmoothness, DisparitySmoothnessConfig
from sparse3d.render.rasterise import RenderOutput


def output_of(depth):
    """A rendering that shows this depth everywhere."""
    return RenderOutput(rgb=torch.zeros(1, *depth.shape, 3), alpha=torch.ones_like(depth)[None], depth=depth[None])


def plain(prior, *, confidence=0.0, image=None):
    """The prior with one confidence, and one image, for all pixels."""
    depths = tuple(dataclasses.replace(d, confidence=torch.full_like(d.confidence, confidence)) for d in prior.depths)
    images = prior.images if image is None else tuple(image for _ in prior.images)
    return dataclasses.replace(prior, depths=depths, images=images)


def term_of(prior, edge=10.0):
    return DisparitySmoothness(DisparitySmoothnessConfig(weight=1.0, edge=edge), prior)


def stepped():
    """Depth with a step in the middle."""
    depth = torch.full((48, 64), 2.0)
    depth[:, 32:] = 4.0
    return depth


def test_the_value_is_the_total_variation(scene):
    params, prior = scene
    prior = plain(prior, image=torch.full((48, 64, 3), 0.5))
    unit = float(torch.cat([d.depth[d.depth > 0] for d in prior.depths]).median())
    loss = term_of(prior).loss(step_of(params, prior), output_of(stepped()))
    expected = abs(1 / (1 + 2 / unit) - 1 / (1 + 4 / unit)) / 63
    assert abs(float(loss) - expected) < 1e-6


def test_an_edge_of_the_photo_lets_depth_step_and_so_does_a_sure_prior(scene):
    params, prior = scene
    flat = torch.full((48, 64, 3), 0.2)
    edge = flat.clone()
    edge[:, 32:] = 0.8

    def loss(prior):
        return float(term_of(prior).loss(step_of(params, prior), output_of(stepped())))

    everywhere = loss(plain(prior, image=flat))
    assert loss(plain(prior, image=edge)) < 0.01 * everywhere
    assert abs(loss(plain(prior, image=flat, confidence=0.75)) - 0.25 * everywhere) < 1e-6
    assert loss(plain(prior, image=flat, confidence=1.0)) == 0


def test_the_gradient_is_right(scene):
    params, prior = scene
    prior = dataclasses.replace(
        prior,
        depths=tuple(dataclasses.replace(d, depth=d.depth.double()) for d in prior.depths),
        images=tuple(i.double() for i in prior.images),
    )
    term, step = term_of(prior), step_of(params, prior)
    depth = (3 + torch.rand(48, 64, dtype=torch.float64)).requires_grad_()
    corner = torch.zeros_like(depth)
    corner[:4, :4] = 1

    def loss(patch):
        return term.loss(step, output_of(depth.detach() + corner * torch.nn.functional.pad(patch, (0, 60, 0, 44))))

    assert torch.autograd.gradcheck(loss, torch.rand(4, 4, dtype=torch.float64).requires_grad_())


def test_descent_smooths_what_the_prior_does_not_know(scene):
    params, prior = scene
    rough = params.means + 0.2 * torch.randn(params.means.shape, generator=torch.Generator().manual_seed(0))
    params, prior = params.replace(means=rough), plain(prior)
    term, step = term_of(prior, edge=0.0), step_of(params, prior)
    before = float(term.loss(step, rendered(step)).detach())
    for _ in range(20):
        term.loss(step, rendered(step)).backward()
        gradient = step.gaussians.means.grad
        assert gradient is not None
        step.gaussians.means.data -= 0.02 * gradient.sign()
        step.gaussians.means.grad = None
    assert float(term.loss(step, rendered(step)).detach()) < 0.7 * before


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="disparity_smoothness"):
        DisparitySmoothnessConfig(weight=-1.0)
