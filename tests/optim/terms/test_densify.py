"""Coarse Gaussians are split where the photos ask for it."""

from dataclasses import replace

import pytest
import torch
from optim_steps import step_of
from toy import toy_cameras, toy_params, toy_prior

from sparse3d.core import se3
from sparse3d.core.gaussians import colour_to_sh0
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.terms.densify import Densify, DensifyConfig, residual_scores, split
from sparse3d.render.rasterise import RenderOptions, rasterise


def test_the_score_is_the_residual_by_blending_weight(scene):
    """All that differs is one patch of one photo, so that the scores' sum is the sum over that patch."""
    params, prior = scene
    changed = prior.images[1].clone()
    changed[20:24, 30:34] += 0.3
    step = step_of(params, replace(prior, images=(prior.images[0], changed, prior.images[2])))
    scores = residual_scores(step, params)
    alpha = rasterise(params.activate(), prior.cameras.select([1]).to(torch.float32)).alpha[0, 20:24, 30:34]
    expected = (alpha * 0.3 * prior.depths[1].confidence[20:24, 30:34]).sum()
    assert abs(float(scores.sum() / expected) - 1) < 0.01
    pixels = 60 * params.means[:, :2] / params.means[:, 2:] + torch.tensor([32.0, 24.0])
    best = pixels[scores.argmax()]
    assert float((best - torch.tensor([32.0, 22.0])).abs().max()) < 6


def test_halves_have_the_wholes_place_and_spread(scene):
    params, _ = scene
    generator = torch.Generator().manual_seed(0)
    quats = torch.nn.functional.normalize(torch.randn(len(params), 4, generator=generator), dim=1)
    params = params.replace(quats_wxyz=quats, log_scales=torch.tensor([0.1, 0.05, 0.01]).log().repeat(len(params), 1))
    halves = split(params, torch.tensor([3, 9]))
    assert len(halves) == 4
    whole = params.select(torch.tensor([3, 9]))
    assert torch.allclose((halves.means[:2] + halves.means[2:]) / 2, whole.means, atol=1e-6)

    def covariance(p):
        axes = se3.quat_wxyz_to_rotation(p.quats_wxyz) * p.log_scales.exp()[:, None, :]
        return axes @ axes.transpose(-1, -2)

    offset = (halves.means[:2] - whole.means)[..., None]
    mixture = covariance(halves.select(torch.arange(2))) + offset @ offset.transpose(-1, -2)
    assert torch.allclose(mixture, covariance(whole), rtol=0.1, atol=1e-5)


def test_only_wide_ones_are_split_and_no_more_than_the_share(scene):
    params, prior = scene
    wide = torch.arange(len(params)) % 2 == 0
    mixed = params.replace(
        log_scales=torch.where(wide[:, None], params.log_scales + 1, params.log_scales - 1.5),
        sh=colour_to_sh0(torch.rand(len(params), 3, generator=torch.Generator().manual_seed(1))),
    )
    term = Densify(DensifyConfig(share=0.1, at=(0.25,)))
    assert term.edit(step_of(mixed, prior, done=0.2), mixed) is None
    edit = term.edit(step_of(mixed, prior, done=0.5), mixed)
    assert edit is not None
    assert edit.added is not None
    assert int((~edit.keep).sum()) == int(0.1 * len(params))
    assert len(edit.added) == 2 * int((~edit.keep).sum())
    assert bool(wide[~edit.keep].all())
    again = Densify(DensifyConfig(share=0.1, at=(0.25,)))
    again.restore(term.arrays())
    assert again.edit(step_of(mixed, prior, done=0.6), mixed) is None


def test_where_the_prior_is_not_sure_nothing_is_split(scene):
    params, prior = scene
    unsure = replace(prior, depths=tuple(replace(d, confidence=torch.zeros_like(d.confidence)) for d in prior.depths))
    wide = params.replace(log_scales=params.log_scales + 1)
    assert Densify(DensifyConfig(share=0.5)).edit(step_of(wide, unsure, done=1.0), wide) is None


def test_detail_comes_back_that_coarse_gaussians_cannot_show(generator):
    params = toy_params(generator)
    params = params.replace(sh=colour_to_sh0(torch.rand(len(params), 3, generator=generator)))
    prior = toy_prior(params, toy_cameras())
    coarse = params.select(torch.arange(0, len(params), 3))
    coarse = coarse.replace(log_scales=coarse.log_scales + 0.7)

    def psnr(share: float) -> float:
        config = OptimConfig(passes=30, colour_lr=0.02, densify=DensifyConfig(share))
        return optimise(coarse, prior, config, render=RenderOptions(), seed=0).history[-1]["psnr"]

    assert psnr(0.5) > psnr(0.0) + 0.5


def test_settings_out_of_range_are_refused():
    for wrong in ({"share": 1.5}, {"at": (-0.1,)}):
        with pytest.raises(ValueError, match="densify"):
            DensifyConfig(**wrong)
