"""Photos of different exposure."""

from dataclasses import replace

import pytest
import torch
from optim_steps import step_of

from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.state import OptimiserState
from sparse3d.optim.terms.exposure import Exposure, ExposureConfig
from sparse3d.render.rasterise import RenderOptions, rasterise

GAINS = torch.tensor([[0.8, 0.85, 0.9], [1.0, 1.0, 1.0], [1 / 0.8, 1 / 0.85, 1 / 0.9]])
"""Of three photos; their geometric mean is 1."""


def exposed(prior):
    """The same photos at other exposures."""
    return replace(prior, images=tuple(image * gain for image, gain in zip(prior.images, GAINS, strict=True)))


def test_the_gains_are_found_and_the_scene_keeps_the_mean(scene):
    params, prior = scene
    config = OptimConfig(passes=120, exposure=ExposureConfig(lr=0.005), colour_lr=0.005)
    state = OptimiserState(params, exposed(prior), config, iterations=360, seed=0)
    for iteration in range(360):
        state.step(iteration, [iteration % 3], RenderOptions())
    term = state.terms["exposure"]
    assert isinstance(term, Exposure)
    assert torch.allclose(term.gains().detach(), GAINS, atol=0.06)
    assert torch.allclose(term.gains().log().mean(0), torch.zeros(3), atol=1e-6)
    shown = rasterise(state.splats.params().activate(), prior.cameras.select([1]).to(torch.float32)).rgb[0]
    assert float((shown - prior.images[1]).abs().mean()) < 0.03


def test_without_it_photos_of_different_exposure_fit_worse(scene):
    params, prior = scene

    def psnr(lr: float) -> float:
        config = OptimConfig(passes=40, exposure=ExposureConfig(lr))
        return optimise(params, exposed(prior), config, render=RenderOptions(), seed=0).history[-1]["psnr"]

    assert psnr(0.01) > psnr(0.0) + 3


def test_the_gradient_is_right(scene):
    term = Exposure(ExposureConfig(lr=0.1), 3)
    rgb = torch.rand(1, 4, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    term.log_gain.data = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.1

    step = step_of(*scene, view=1)

    def loss() -> torch.Tensor:
        return term.picture(step, rgb).square().sum()

    loss().backward()
    gradient = term.log_gain.grad
    assert gradient is not None
    for index in ((0, 1), (1, 2)):
        values = []
        for sign in (1, -1):
            term.log_gain.data[index] += sign * 1e-5
            values.append(float(loss().detach()))
            term.log_gain.data[index] -= sign * 1e-5
        assert abs((values[0] - values[1]) / 2e-5 - float(gradient[index])) < 1e-6


def test_a_saved_state_goes_on_as_if_never_stopped(scene):
    params, prior = scene
    first, second = (Exposure(ExposureConfig(lr=0.01), 3) for _ in range(2))
    step = step_of(params, prior)

    def once(term: Exposure) -> None:
        term.picture(step, torch.full((1, 2, 2, 3), 0.3)).square().sum().backward()
        term.after_backward(step)

    once(first)
    second.restore({k: v.copy() for k, v in first.arrays().items()})
    once(first)
    once(second)
    assert torch.equal(first.gains(), second.gains())
    assert bool((first.gains() != 1).any())


def test_settings_out_of_range_are_refused():
    for wrong in ({"lr": -1.0}, {"lr_final": 0.0}):
        with pytest.raises(ValueError, match="exposure"):
            ExposureConfig(**wrong)
