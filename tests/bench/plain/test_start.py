"""Gaussians at sparse points."""

import pytest
import torch

from sparse3d.bench.plain.start import gaussians_at_points
from sparse3d.core.geometry_prior import SparsePoints


def points_at(points: torch.Tensor) -> SparsePoints:
    none = torch.zeros(0, dtype=torch.int64)
    colours = torch.full(points.shape, 0.25)
    return SparsePoints(points, colours, torch.zeros(len(points)), none, none, torch.zeros(0, 2))


def test_sizes_are_distances_to_the_three_nearest():
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [50, 0, 0]], dtype=torch.float64)
    gaussians = gaussians_at_points(points_at(points))
    assert torch.equal(gaussians.means, points.float())
    drawn = gaussians.activate()
    torch.testing.assert_close(drawn.scales[0], torch.full((3,), ((1 + 4 + 9) / 3) ** 0.5))
    torch.testing.assert_close(drawn.opacities, torch.full((5,), 0.1))
    torch.testing.assert_close(drawn.sh[:, 0] * 0.28209479177387814 + 0.5, torch.full((5, 3), 0.25))


def test_points_in_one_place_have_a_size():
    assert gaussians_at_points(points_at(torch.zeros(6, 3))).log_scales.isfinite().all()


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="3 points"):
        gaussians_at_points(points_at(torch.rand(3, 3)))
