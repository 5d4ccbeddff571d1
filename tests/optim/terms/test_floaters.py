"""What hangs in free space is removed."""

from dataclasses import replace

import pytest
import torch
from optim_steps import step_of

from sparse3d.core.gaussians import concatenate_params
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.terms.floaters import Floaters, FloatersConfig, find_floaters
from sparse3d.render.rasterise import RenderOptions


def hanging(params, depth: float, count: int = 5):
    """Some Gaussians in front of the sheet, where every view sees them."""
    some = params.select(torch.arange(count))
    means = torch.tensor([[0.05 * i, 0.02 * i, depth] for i in range(count)])
    return some.replace(means=means, logit_opacities=torch.full((count,), 3.0))


def test_floaters_are_found_and_nothing_else(scene):
    params, prior = scene
    step = step_of(params, prior)
    both = concatenate_params([params, hanging(params, 2.0)])
    found = find_floaters(step, both, 0.05)
    assert bool(found[-5:].all())
    assert not found[:-5].any()


def test_what_stands_on_the_surface_or_behind_it_stays(scene):
    params, prior = scene
    step = step_of(params, prior)
    for depth in (2.95, 4.0):
        assert not find_floaters(step, concatenate_params([params, hanging(params, depth)]), 0.05).any()


def test_a_prior_that_is_not_sure_removes_nothing(scene):
    params, prior = scene
    unsure = tuple(replace(d, support=torch.zeros_like(d.support)) for d in prior.depths)
    step = step_of(params, replace(prior, depths=unsure))
    assert not find_floaters(step, concatenate_params([params, hanging(params, 2.0)]), 0.05).any()


def test_two_views_that_vouch_outweigh_one_that_does_not(scene):
    """One view's depth claims that the sheet is farther away than it is."""
    params, prior = scene
    wrong = replace(prior.depths[2], depth=1.3 * prior.depths[2].depth)
    step = step_of(params, replace(prior, depths=(*prior.depths[:2], wrong)))
    found = find_floaters(step, params, 0.05)
    shows_in_both = params.means[:, :2].abs().amax(1) < 0.8
    assert not found[shows_in_both].any()


def test_each_point_of_the_optimisation_has_one_round(scene):
    params, prior = scene
    both = concatenate_params([params, hanging(params, 2.0)])
    term = Floaters(FloatersConfig(at=(0.25, 0.5)))
    assert term.edit(step_of(both, prior, done=0.2), both) is None
    edit = term.edit(step_of(both, prior, done=0.3), both)
    assert edit is not None
    assert int((~edit.keep).sum()) == 5
    again = Floaters(FloatersConfig(at=(0.25, 0.5)))
    again.restore(term.arrays())
    assert again.edit(step_of(both, prior, done=0.4), both) is None
    assert again.edit(step_of(both, prior, done=0.6), both) is not None


def test_it_works_while_optimising(scene):
    params, prior = scene
    both = concatenate_params([params, hanging(params, 2.0)])
    config = OptimConfig(passes=2, floaters=FloatersConfig(at=(0.0,)))
    result = optimise(both, prior, config, render=RenderOptions(), seed=0)
    assert len(result.gaussians) == len(params)


def test_settings_out_of_range_are_refused():
    for wrong in ({"at": (1.5,)}, {"margin": 0.0}):
        with pytest.raises(ValueError, match="floaters"):
            FloatersConfig(**wrong)
