"""Soft limits of size and of length over width."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.optim.pixel_size import pixel_size_at
from sparse3d.optim.terms.footprint import Footprint, FootprintConfig
from sparse3d.optim.terms.interface import Edit


@pytest.fixture
def small(scene):
    """The toy's Gaussians, each flat and half a pixel wide."""
    params, prior = scene
    pixels = pixel_size_at(params.means, prior.cameras)
    return params.replace(log_scales=(pixels[:, None] * torch.tensor([0.5, 0.5, 0.05])).log()), prior


def grown(params, *factors):
    return params.replace(log_scales=params.log_scales + torch.tensor(factors).log())


def loss_of(term, params, prior):
    step = step_of(params, prior)
    loss = term.loss(step, rendered(step))
    loss.backward()
    return float(loss.detach()), step.gaussians.scales.grad


def test_only_what_is_beyond_the_limits_costs(small):
    params, prior = small
    term = Footprint(FootprintConfig(weight=2.0, max_footprints=2.0, max_ratio=3.0), prior.cameras, params)
    assert loss_of(term, params, prior)[0] == 0
    assert loss_of(term, grown(params, 3.0, 3.0, 1.0), prior)[0] == 0
    large, gradient = loss_of(term, grown(params, 8.0, 8.0, 1.0), prior)
    assert abs(large - 2 * math.log(2) ** 2) < 1e-4  # half a pixel grown to 4, of which 2 are free
    assert gradient is not None and float(gradient[:, :2].sum(1).min()) > 0 and float(gradient[:, 2].abs().max()) < 1e-6
    long, gradient = loss_of(term, grown(params, 1.0, 0.2, 1.0), prior)
    assert abs(long - 2 * math.log(5 / 3) ** 2) < 1e-4
    assert gradient is not None and float(gradient[:, 0].min()) > 0 and float(gradient[:, 1].max()) < 0


def test_a_gaussian_that_stands_for_many_pixels_may_stay_as_large_as_it_was(small):
    params, prior = small
    merged = grown(params, 16.0, 16.0, 16.0)
    term = Footprint(FootprintConfig(weight=1.0), prior.cameras, merged)
    assert loss_of(term, merged, prior)[0] == 0
    assert loss_of(term, grown(merged, 2.0, 2.0, 2.0), prior)[0] > 0


def test_the_gradient_is_right(small):
    params, prior = small
    params = params.select(torch.arange(20))
    term = Footprint(FootprintConfig(weight=1.0), prior.cameras, params)
    step = step_of(params, prior)
    output = rendered(step)
    growth = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(log_scales):
        gaussians = dataclasses.replace(step.gaussians, scales=log_scales.exp())
        return term.loss(dataclasses.replace(step, gaussians=gaussians), output)

    assert torch.autograd.gradcheck(loss, (params.log_scales.double() + 3 * growth).requires_grad_())


def test_limits_follow_the_set_of_gaussians_and_survive_a_stop(small):
    params, prior = small
    term = Footprint(FootprintConfig(weight=1.0), prior.cameras, params)
    keep = torch.arange(len(params)) % 2 == 0
    added = grown(params.select(torch.arange(5)), 16.0, 16.0, 16.0)
    before = term.log_limits.clone()
    term.edited(Edit(keep, added))
    assert torch.equal(term.log_limits[:-5], before[keep])
    assert torch.allclose(term.log_limits[-5:], added.log_scales[:, 0] + math.log(1.5), atol=1e-5)
    other = Footprint(FootprintConfig(weight=1.0), prior.cameras, params)
    other.restore({name: np.array(array) for name, array in term.arrays().items()})
    assert torch.equal(other.log_limits, term.log_limits)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"max_ratio=0\.5"):
        FootprintConfig(max_ratio=0.5)
