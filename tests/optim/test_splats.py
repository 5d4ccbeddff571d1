"""Gaussians that come and go while they are optimised."""

import torch
from toy import toy_cameras, toy_params

from sparse3d.optim.config import OptimConfig
from sparse3d.optim.splats import SplatOptimiser
from sparse3d.optim.terms.interface import Edit


def stepped(optimiser: SplatOptimiser, times: int = 3) -> None:
    for _ in range(times):
        optimiser.forget_gradients()
        (optimiser.drawn.means.sum() + optimiser.drawn.scales.sum() + optimiser.drawn.sh.square().sum()).backward()
        optimiser.step(0.0, 1)


def test_those_left_out_do_not_change_the_others_steps(generator):
    params = toy_params(generator)
    whole, part = (SplatOptimiser(params, toy_cameras(), OptimConfig()) for _ in range(2))
    keep = torch.arange(len(params)) % 3 > 0
    stepped(whole)
    stepped(part)
    part.edit(Edit(keep))
    stepped(whole)
    stepped(part)
    for name in ("means", "log_scales", "sh"):
        assert torch.equal(getattr(whole.params(), name)[keep], getattr(part.params(), name))


def test_new_ones_start_behind_the_others_without_moments(generator):
    params = toy_params(generator)
    optimiser, fresh = (SplatOptimiser(params, toy_cameras(), OptimConfig()) for _ in range(2))
    stepped(optimiser)
    added = params.select(torch.arange(5))
    optimiser.edit(Edit(torch.ones(len(params), dtype=torch.bool), added))
    assert len(optimiser.live()) == len(params) + 5
    assert torch.equal(optimiser.state.first.means[-5:], torch.zeros(5, 3))
    assert torch.equal(optimiser.drawn.means[-5:], added.means)
    assert torch.equal(optimiser.state.mean_rates[-5:], fresh.state.mean_rates[:5])
    assert torch.equal(optimiser.template.observations[-5:], added.observations)


def test_a_saved_state_goes_on_as_if_never_stopped(generator):
    params = toy_params(generator)
    first, second = (SplatOptimiser(params, toy_cameras(), OptimConfig()) for _ in range(2))
    stepped(first)
    first.edit(Edit(torch.arange(len(params)) > 10))
    second.restore({k: v.copy() for k, v in first.arrays().items()})
    stepped(first)
    stepped(second)
    assert torch.equal(first.params().means, second.params().means)
    assert torch.equal(first.drawn.scales, second.drawn.scales)
