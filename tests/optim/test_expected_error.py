"""Owners, errors with the owner left out, and the error to be expected."""

import dataclasses

import pytest
import torch
from toy import toy_cameras, toy_params, toy_prior

from sparse3d.optim.evidence import contrast_around, left_out_errors, owner_views
from sparse3d.optim.expected_error import expected_error
from sparse3d.priors.fusion import InitialiseConfig, initialise_gaussians
from sparse3d.render.rasterise import RenderOptions


@pytest.fixture
def scene(generator):
    """Gaussians made from a prior's own pixels, and the prior."""
    params = toy_params(generator)
    prior = toy_prior(params, toy_cameras())
    config = InitialiseConfig(explained_depth=1e-6)
    config = dataclasses.replace(config, backdrop=dataclasses.replace(config.backdrop, enabled=False))
    return initialise_gaussians(prior, config), prior


def test_owners_come_in_the_order_of_the_views(scene):
    """`initialise_gaussians` puts the views' Gaussians behind one another."""
    params, prior = scene
    owners = owner_views(params, prior.cameras)
    assert set(owners.tolist()) == {0, 1, 2}
    assert float((owners.diff() < 0).float().mean()) < 1e-3


def test_a_photo_that_differs_is_an_error_of_the_others_gaussians(scene):
    params, prior = scene
    owners = owner_views(params, prior.cameras)
    before = left_out_errors(params, prior, owners, RenderOptions())
    dark = dataclasses.replace(prior, images=(0.2 * prior.images[0], *prior.images[1:]))
    after = left_out_errors(params, dark, owners, RenderOptions())
    others, own = owners != 0, owners == 0
    assert float(after[others].nanmedian()) > 2 * float(before[others].nanmedian())
    assert float(after[own].nanmedian()) == pytest.approx(float(before[own].nanmedian()), rel=1e-4)


def test_what_no_other_photo_shows_has_no_such_error(scene):
    params, prior = scene
    owners = owner_views(params, prior.cameras)
    away = params.means.clone()
    away[:10, 2] = -5.0
    found = left_out_errors(params.replace(means=away), prior, owners, RenderOptions())
    assert bool(found[:10].isnan().all())
    assert float(found.isnan().float().mean()) < 0.5


def test_contrast_is_that_of_the_owners_photo(scene):
    params, prior = scene
    owners = owner_views(params, prior.cameras)
    flat = dataclasses.replace(prior, images=(torch.full_like(prior.images[0], 0.5), *prior.images[1:]))
    found = contrast_around(params, flat, owners)
    assert float(found[owners == 0].max()) < 1e-3
    assert float(found[owners == 1].median()) > 0.005


def test_what_is_known_less_is_expected_to_err_more():
    def of(left_out=0.05, contrast=0.05, confidence=0.8, observations=2, learned=None):
        error, around, sure = (torch.tensor([float(x)]) for x in (left_out, contrast, confidence))
        further = None if learned is None else torch.tensor([learned])
        return float(expected_error(error, around, sure, torch.tensor([observations]), further))

    assert of(left_out=0.2) > of()
    assert of(contrast=0.2) > of()
    assert of(observations=0) > of()
    assert of(confidence=0.02, observations=0) > of(observations=0)
    assert of(left_out=float("nan"), observations=0) > of()
    assert of(learned=0.1) > of(learned=0.01)
