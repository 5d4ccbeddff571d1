"""Expected colour errors against found ones: the pairs, their order, and the law between them."""

import numpy as np
import pytest
import torch

from sparse3d.eval.render_views import render_camera
from sparse3d.eval.uncertainty import Pairs, at_most, fit_power_law, pairs_at, score_uncertainty


@pytest.fixture
def run(scenes, generator):
    """A cloud so dense that most pixels are opaque."""
    thick = scenes.cloud(generator, 300)
    return scenes.reconstruction(thick.replace(logit_opacities=torch.full((300,), 5.0)), scenes.ring(2))


def test_pixels_are_paired_where_something_is_drawn_and_the_mask_allows(scenes, run):
    camera = run.cameras.select([0])
    [view] = render_camera(run, camera, scenes.OPTIONS)
    photo = np.round(view.rgb.clip(0, 1).astype(np.float64) * 255) / 255
    photo[:, 32:] = np.where(photo[:, 32:] < 0.5, photo[:, 32:] + 40 / 255, photo[:, 32:] - 40 / 255)
    values, everywhere = np.full(300, 0.25, np.float32), np.ones((48, 64), bool)
    pairs = pairs_at(run, camera, photo, values, everywhere, scenes.OPTIONS)
    drawn = view.alpha >= 0.5
    assert 100 < len(pairs.raw) == drawn.sum() < drawn.size
    assert pairs.raw == pytest.approx(0.25, rel=1e-4)
    wrong = np.broadcast_to(np.arange(64) >= 32, drawn.shape)[drawn]
    assert pairs.errors[wrong] == pytest.approx(40 / 255, abs=0.004)
    assert pairs.errors[~wrong] == pytest.approx(0, abs=0.003)
    left = everywhere & (np.arange(64) < 32)
    assert pairs_at(run, camera, photo, values, left, scenes.OPTIONS).errors.max() < 0.003


def test_thinning_is_by_chance_and_the_same_each_time():
    pairs = Pairs(np.arange(1, 1001) / 1000, np.arange(1, 1001) / 2000)
    few = at_most(pairs, 100, seed=3)
    assert len(few.raw) == 100 and few.errors == pytest.approx(few.raw / 2)
    assert few.raw.min() < 0.1 and few.raw.max() > 0.9
    assert np.array_equal(few.raw, at_most(pairs, 100, seed=3).raw)
    assert at_most(pairs, 1000, seed=3) is pairs


def test_the_score_tells_size_and_order_apart():
    generator = np.random.default_rng(0)
    raw = np.exp(generator.normal(size=20_000) - 4)
    truth = 3 * raw**0.8
    none = Pairs(np.empty(0), np.empty(0))
    score = score_uncertainty([Pairs(raw[:5000], truth[:5000]), none, Pairs(raw[5000:], truth[5000:])])
    assert (score.photos, score.pairs) == (2, 20_000)
    assert score.mean_expected == pytest.approx(raw.mean()) and score.mean_error == pytest.approx(truth.mean())
    assert score.factor == pytest.approx(3, rel=0.05) and score.exponent == pytest.approx(0.8, abs=0.01)
    assert score.ause == pytest.approx(0, abs=1e-6), "the order is right although the size is not"
    assert float(score.law(raw).mean()) == pytest.approx(score.mean_error, rel=0.01)
    chance = score_uncertainty([Pairs(raw, generator.permutation(truth))])
    assert chance.ause_of_random == pytest.approx(1, abs=0.1) and chance.exponent < 0.1
    with pytest.raises(ValueError, match="power law"):
        score_uncertainty([none])


def test_a_power_law_is_found_among_scatter():
    generator = np.random.default_rng(0)
    raw = np.exp(generator.normal(size=20_000) - 3)
    errors = generator.exponential(0.7 * raw**0.5)
    law = fit_power_law(raw, errors)
    assert law.exponent == pytest.approx(0.5, abs=0.06)
    assert float(law(raw).mean()) == pytest.approx(float(errors.mean()), rel=0.01)


def test_a_figure_that_tells_nothing_gets_no_slope():
    generator = np.random.default_rng(0)
    raw = generator.uniform(0.1, 1, 2000)
    assert fit_power_law(raw, 0.1 / raw).exponent == 0
    assert fit_power_law(np.ones(50), np.full(50, 0.2))(np.array([1.0]))[0] == pytest.approx(0.2)
    with pytest.raises(ValueError, match="power law"):
        fit_power_law(raw[:5], raw[:5])
