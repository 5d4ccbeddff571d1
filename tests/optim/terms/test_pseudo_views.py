"""Photos warped to cameras between them."""

from dataclasses import replace

import pytest
import torch
from optim_steps import rendered, step_of
from toy import toy_cameras

from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.terms.pseudo_views import PseudoViews, PseudoViewsConfig, between, make_pseudo_view
from sparse3d.render.rasterise import RenderOptions, rasterise


def test_the_way_between_two_cameras_starts_and_ends_at_them():
    cameras = toy_cameras()
    first, second = cameras.select([0]), cameras.select([2])
    for way, end in ((0.0, first), (1.0, second)):
        assert torch.allclose(between(first, second, way).cam_from_world, end.cam_from_world)
    middle = between(first, second, 0.5)
    assert torch.allclose(middle.centres[0], (first.centres[0] + second.centres[0]) / 2)
    rotation = middle.cam_from_world[0, :3, :3]
    assert torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=rotation.dtype))


def test_a_pseudo_view_is_what_stands_there(scene):
    params, prior = scene
    found = make_pseudo_view(prior, 0, 2, 0.5)
    camera = between(prior.cameras.select([0]), prior.cameras.select([2]), 0.5)
    truth = rasterise(params.activate(), camera.to(torch.float32)).rgb[0]
    known = found.weight > 0
    assert float(known.float().mean()) > 0.7
    assert float((found.colour.float() / 255 - truth)[known].abs().mean()) < 0.02


def test_what_the_prior_is_not_sure_of_counts_for_nothing(scene):
    _, prior = scene
    unsure = tuple(replace(d, confidence=torch.full_like(d.confidence, 0.1)) for d in prior.depths)
    assert not make_pseudo_view(replace(prior, depths=unsure), 0, 1, 0.5).weight.any()
    masked = replace(prior, masks=tuple(torch.zeros_like(m) for m in prior.masks))
    assert not make_pseudo_view(masked, 0, 1, 0.5).weight.any()


def test_photos_that_see_another_surface_are_not_mixed_in(scene):
    """The second photo's depth is wrong and it shows black: where the z-buffer has the first one's depth it has no say."""
    _, prior = scene
    far = replace(prior.depths[2], depth=1.2 * prior.depths[2].depth)
    black = replace(
        prior,
        depths=(*prior.depths[:2], far),
        images=(*prior.images[:2], torch.zeros_like(prior.images[2])),
    )
    found, right = make_pseudo_view(black, 0, 2, 0.5), make_pseudo_view(prior, 0, 2, 0.5)
    both = (found.weight > 0) & (right.weight > 0)
    near = both & (found.colour.float().sum(-1) > 0)
    difference = (found.colour.float() - right.colour.float()).abs().mean(-1) / 255
    assert float(near.float().mean()) > 0.4
    assert float(difference[near].mean()) < 0.03


def test_it_reaches_what_the_photos_cannot_tell(scene):
    """Colours that depend on the direction fit two photos on a sheet that is too far away, and fail between them."""
    params, prior = scene
    two = replace(
        prior,
        cameras=prior.cameras.select([0, 2]),
        full_cameras=prior.full_cameras.select([0, 2]),
        **{name: getattr(prior, name)[::2] for name in ("depths", "images", "masks")},
    )
    away = params.replace(means=1.15 * params.means)
    camera = between(two.cameras.select([0]), two.cameras.select([1]), 0.5).to(torch.float32)
    truth = rasterise(params.activate(), camera).rgb[0]

    def error(weight: float) -> float:
        pseudo = PseudoViewsConfig(weight, every=1)
        config = OptimConfig(
            passes=40, depth_weight=0.0, colour_lr=0.02, sh_degree=3, sh_rest_lr=0.02, pseudo_views=pseudo
        )
        result = optimise(away, two, config, render=RenderOptions(), seed=0)
        return float((rasterise(result.gaussians.activate(), camera).rgb[0] - truth).square().mean())

    assert error(1.0) < 0.8 * error(0.0)


def test_it_is_used_every_so_often(scene):
    params, prior = scene
    term = PseudoViews(PseudoViewsConfig(weight=1.0, every=2, per_pair=1), prior)
    assert [(v.first, v.second) for v in term.views] == [(0, 1), (0, 2), (1, 2)]
    step = step_of(params, prior)
    output = rendered(step)
    assert term.loss(replace(step, iteration=1), output) is None
    loss = term.loss(step, output)
    assert loss is not None
    loss.backward()
    assert step.gaussians.sh.grad is not None
    assert bool(step.gaussians.sh.grad.any())


def test_settings_out_of_range_are_refused():
    for wrong in ({"weight": -1.0}, {"every": 0}, {"per_pair": 0}):
        with pytest.raises(ValueError, match="pseudo_views"):
            PseudoViewsConfig(**wrong)
