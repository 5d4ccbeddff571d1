"""Passes chosen by photos left out."""

import dataclasses

import pytest
import torch
from toy import toy_cameras, toy_params, toy_prior

from sparse3d.optim.choose_passes import choose_passes
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.terms.dropout import DropoutConfig
from sparse3d.priors.backdrop import BackdropConfig
from sparse3d.priors.fusion import InitialiseConfig, initialise_gaussians
from sparse3d.render.rasterise import RenderOptions


@pytest.fixture
def scene(generator):
    """Gaussians made from a prior's own pixels, none of them pruned, and the prior."""
    prior = toy_prior(toy_params(generator), toy_cameras())
    return initialise_gaussians(
        prior, InitialiseConfig(explained_depth=1e-6, opacity=0.5, backdrop=BackdropConfig(enabled=False))
    ), prior


def choose(params, prior, config, choices):
    return choose_passes(params, prior, config, choices, render=RenderOptions(), seed=0)


def test_colours_that_were_wrong_need_passes(scene, generator):
    params, prior = scene
    noisy = params.replace(sh=params.sh + 0.5 * torch.randn(params.sh.shape, generator=generator))
    found = choose(noisy, prior, OptimConfig(colour_lr=0.05, opacity_lr=0.05, dropout=DropoutConfig()), (1, 12))
    assert found.passes == 12
    assert found.psnr[1] > found.psnr[0] + 1


def test_photos_that_contradict_each_other_ask_for_few(scene, generator):
    """Every photo has noise of its own, which fitting memorises."""
    params, prior = scene
    noisy = [(i + 0.2 * torch.randn(i.shape, generator=generator)).clamp(0, 1) for i in prior.images]
    found = choose(
        params,
        dataclasses.replace(prior, images=tuple(noisy)),
        OptimConfig(colour_lr=0.05, opacity_lr=0.05, dropout=DropoutConfig()),
        (1, 12),
    )
    assert found.passes == 1


def test_two_photos_are_too_few(scene, generator):
    params, prior = scene
    two = toy_prior(toy_params(generator), toy_cameras(2))
    with pytest.raises(ValueError, match="3 photos"):
        choose(params, two, OptimConfig(), (1, 2))
    with pytest.raises(ValueError, match="choices"):
        choose(params, prior, OptimConfig(), ())
    with pytest.raises(ValueError, match="fixed number of iterations, 50"):
        choose(params, prior, OptimConfig(iterations=50), (1, 2))


def test_several_photos_a_step_make_passes_of_fewer_steps(scene, generator):
    params, prior = scene
    noisy = params.replace(sh=params.sh + 0.5 * torch.randn(params.sh.shape, generator=generator))
    config = OptimConfig(colour_lr=0.05, opacity_lr=0.05, dropout=DropoutConfig(), views_per_step=0)
    found = choose(noisy, prior, config, (1, 12))
    assert found.passes == 12 and found.psnr[0] > 5, "the shorter choice was looked at, too"
