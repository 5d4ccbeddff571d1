"""Gaussians that move along their pixels' rays, neighbours together."""

import dataclasses

import numpy as np
import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.core.cameras import unproject
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.terms.coherence import Coherence, CoherenceConfig
from sparse3d.optim.terms.coherence_owners import layer_bounds, owners_of
from sparse3d.optim.terms.interface import Edit
from sparse3d.render.rasterise import RenderOptions

CONFIG = CoherenceConfig(reach=0.3, rate=0.02, rows=4, layers=2, spare_confident=False)


def nudge(decoder, amount=0.02, seed=5):
    """The decoder as if it had learned something."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in decoder.parameters():
        parameter.data += amount * torch.randn(parameter.shape, generator=generator)


def pixels_of(params, prior, view, count=40):
    """Gaussians at a view's own pixels."""
    points = unproject(prior.depths[view].depth[None].double(), prior.cameras.select([view]))[0]
    chosen = points[4:-4, 4:-4].reshape(-1, 3)[:: 40 * 56 // count][:count].float()
    return params.select(torch.arange(len(chosen))).replace(means=chosen)


def test_a_gaussian_belongs_to_the_view_whose_depth_agrees(scene):
    params, prior = scene
    for view in range(3):
        others = tuple(
            d if i == view else dataclasses.replace(d, depth=0.9 * d.depth) for i, d in enumerate(prior.depths)
        )
        told = dataclasses.replace(prior, depths=others)
        own = pixels_of(params, told, view)
        owners = owners_of(own, told, layer_bounds(told, 3))
        assert bool((owners.views == view).all())
        assert float(owners.pixels.abs().max()) < 1


def test_layers_part_near_from_far_and_outsiders_have_an_owner(scene):
    params, prior = scene
    bounds = layer_bounds(prior, 2)
    assert bounds.shape == (3, 1)
    near = float(bounds.min()) - 0.05
    own = pixels_of(params, prior, 0)
    depth = own.means[:, 2]
    owners = owners_of(own, prior, bounds)
    assert bool((owners.layers[depth < near] == 0).all()) and bool(owners.layers.any())
    away = own.replace(means=own.means * torch.tensor([30.0, 30.0, 1.0]))
    found = owners_of(away, prior, bounds)
    assert float(found.pixels.abs().max()) <= 1
    nothing = tuple(dataclasses.replace(d, depth=torch.zeros_like(d.depth)) for d in prior.depths)
    assert bool(layer_bounds(dataclasses.replace(prior, depths=nothing), 2).isinf().all())


def test_drawing_changes_no_picture_and_shows_the_decoder_its_gradient(scene):
    params, prior = scene
    term, step = Coherence(CONFIG, prior, params), step_of(params, prior)
    nudge(term.decoder)
    drawn = term.draw(step, step.gaussians)
    assert torch.equal(drawn.means, step.gaussians.means)
    toward = torch.randn(len(params), 3, generator=torch.Generator().manual_seed(0))
    (drawn.means * toward).sum().backward()
    bias = term.decoder.last.get_parameter("bias")
    assert step.gaussians.means.grad is not None and bias.grad is not None
    assert torch.equal(step.gaussians.means.grad, toward)
    gradient = bias.grad.clone()

    def value():
        with torch.no_grad():
            centres = prior.cameras.centres.float()[term.owners.views]
            rays = params.means - centres
            return float((term._decode(step)[:, None] * rays * toward).double().sum())

    for layer in range(CONFIG.layers):
        bias.data[layer] += 0.01
        above = value()
        bias.data[layer] -= 0.02
        below = value()
        bias.data[layer] += 0.01
        assert abs((above - below) / 0.02 - float(gradient[layer])) < 1e-2 * (1 + abs(float(gradient[layer])))


def test_centres_follow_the_decoder_along_their_rays_and_neighbours_move_alike(scene):
    params, prior = scene
    term, step = Coherence(CONFIG, prior, params), step_of(params, prior)
    before = step.gaussians.means.detach().clone()
    pushed = 700  # one Gaussian alone is pushed away; its neighbours know nothing of it
    drawn = term.draw(step, step.gaussians)
    (-drawn.means[pushed, 2] - 0.01 * drawn.means[:, 2].mean()).backward()
    for _ in range(5):
        term.after_backward(step)
        drawn = term.draw(step, step.gaussians)
        (-drawn.means[pushed, 2]).backward()
    moved = step.gaussians.means.detach() - before
    rays = before - prior.cameras.centres.float()[term.owners.views]
    assert float(torch.linalg.cross(moved, rays).norm(dim=1).max()) < 1e-4
    share = (moved * rays).sum(1) / (rays * rays).sum(1)
    assert float(share[pushed]) > 0.01
    same = (term.owners.views == term.owners.views[pushed]) & (term.owners.layers == term.owners.layers[pushed])
    near = same & ((term.owners.pixels - term.owners.pixels[pushed]).norm(dim=1) < 0.15)
    assert int(near.sum()) > 3
    assert float((share[near] / share[pushed] - 1).abs().max()) < 0.5


def test_the_confident_stay_and_the_decoder_stops(scene):
    params, prior = scene
    params = params.replace(confidence=(torch.arange(len(params)) % 2).float())
    term = Coherence(dataclasses.replace(CONFIG, spare_confident=True, until=0.5), prior, params)
    for done, moves in ((0.4, True), (0.6, False)):
        step = step_of(params, prior, done=done)
        before = step.gaussians.means.detach().clone()
        term.draw(step, step.gaussians).means.sum().backward()
        term.after_backward(step)
        change = (step.gaussians.means.detach() - before).norm(dim=1)
        assert float(change[params.confidence == 1].max()) < 1e-6
        assert (float(change[params.confidence == 0].max()) > 1e-4) == moves


def test_it_brings_a_whole_region_back_that_small_steps_cannot(scene):
    params, prior = scene
    pushed = params.replace(means=params.means * 1.06, log_scales=params.log_scales + 0.05)
    base = OptimConfig(passes=15, confidence_beta=1.0)
    found = {}
    for name, coherence in (("off", CoherenceConfig()), ("on", dataclasses.replace(CONFIG, until=1.0))):
        config = dataclasses.replace(base, coherence=coherence)
        result = optimise(pushed, prior, config, render=RenderOptions(), seed=0)
        step = step_of(result.gaussians, prior)
        depth = rendered(step).depth[0].detach()
        found[name] = float((depth / prior.depths[0].depth - 1).abs().mean())
    assert found["on"] < 0.5 * found["off"]


def test_it_follows_the_set_of_gaussians_and_survives_a_stop(scene):
    params, prior = scene
    term = Coherence(CONFIG, prior, params)
    step = step_of(params, prior)
    term.draw(step, step.gaussians).means.sum().backward()
    term.after_backward(step)
    keep = torch.arange(len(params)) % 3 > 0
    views = term.owners.views.clone()
    term.edited(Edit(keep, params.select(torch.arange(7))))
    assert torch.equal(term.owners.views[:-7], views[keep])
    assert torch.equal(term.owners.views[-7:], views[:7])
    other = Coherence(CONFIG, prior, params)
    other.restore({name: np.array(array) for name, array in term.arrays().items()})
    assert all(torch.equal(p, q) for p, q in zip(term.decoder.parameters(), other.decoder.parameters(), strict=True))
    assert torch.equal(term.owners.pixels, other.owners.pixels) and other.adam.steps == 1


@pytest.mark.parametrize("wrong", [{"reach": 1.0}, {"until": 2.0}, {"rows": 1}, {"layers": 0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="coherence"):
        CoherenceConfig(**wrong)
