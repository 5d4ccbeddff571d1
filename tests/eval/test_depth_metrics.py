"""Depth errors and sparsification against numbers written out by hand."""

import numpy as np
import pytest

from sparse3d.eval.depth_metrics import depth_errors, median_scale, sparsification


def test_errors_by_hand():
    truth = np.array([[1.0, 2.0, 4.0, 0.0], [5.0, np.nan, 10.0, 8.0]])
    depth = np.array([[1.1, 2.0, 6.0, 3.0], [0.0, 4.0, 21.0, 8.0]])
    score = depth_errors(depth, truth)
    assert score.pixels == 5  # of the six with a true depth
    assert score.known == pytest.approx(5 / 6)
    assert score.abs_rel == pytest.approx((0.1 + 0 + 0.5 + 1.1 + 0) / 5)
    assert score.rmse == pytest.approx(np.sqrt((0.01 + 0 + 4 + 121 + 0) / 5))
    assert score.delta == pytest.approx((3 / 5, 4 / 5, 4 / 5))  # ratios 1.1, 1, 1.5, 2.1 and 1


def test_the_median_scale_takes_away_a_wrong_scale():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 5, (30, 40))
    assert median_scale(truth / 3, truth) == pytest.approx(3)
    plain, aligned = (
        depth_errors(truth / 3, truth),
        depth_errors(truth / 3, truth, scale=median_scale(truth / 3, truth)),
    )
    assert plain.abs_rel == pytest.approx(2 / 3)
    assert plain.delta == (0, 0, 0)
    assert aligned.abs_rel == pytest.approx(0)
    assert aligned.scale == pytest.approx(3)
    assert aligned.delta == (1, 1, 1)


def test_maps_without_a_common_pixel_and_of_different_sizes():
    for call in (depth_errors, median_scale):
        with pytest.raises(ValueError, match="no pixel"):
            call(np.zeros((2, 2)), np.ones((2, 2)))
        with pytest.raises(ValueError, match="cannot be compared"):
            call(np.ones((2, 3)), np.ones((2, 2)))


def test_sparsification_of_a_perfect_a_reversed_and_a_meaningless_order():
    error = np.linspace(0, 0.999, 1000)
    perfect = sparsification(-error, error)
    assert perfect.ause == pytest.approx(0)
    assert perfect.by_confidence == pytest.approx([0.05 * k for k in range(1, 11)], abs=1e-3)
    assert sparsification(error, error).ause_of_random == pytest.approx(2, abs=1e-6)
    same = sparsification(np.ones(1000), error)
    assert same.ause_of_random == pytest.approx(1, abs=0.1)
    assert same.random == pytest.approx(error.mean())
    assert same.by_confidence[-1] == pytest.approx(error.mean())


def test_a_missing_estimate_counts_as_the_largest_error():
    found = sparsification(np.array([3.0, 2.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.5, np.inf]), kept=(0.5, 1.0))
    assert found.by_confidence == pytest.approx((0, 0.375))
    assert found.ause == pytest.approx(0)
    with pytest.raises(ValueError, match="expected equally many"):
        sparsification(np.zeros(2), np.zeros(3))
    assert np.isnan(sparsification(np.arange(4.0), np.zeros(4)).ause_of_random)
