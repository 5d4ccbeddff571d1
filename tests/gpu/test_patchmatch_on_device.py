"""PatchMatch on a GPU against the CPU's kernel. Run by `make test-gpu`."""

import numpy as np
import pytest
import torch
from test_patchmatch import OPTIONS, POSITIONS, inverse_at, level, other_view, reference, run, truth

from sparse3d.kernels.cuda_patchmatch import patchmatch_cuda
from sparse3d.kernels.patchmatch import (
    WORST_COST,
    Matched,
    PatchmatchOptions,
    PlanarPrior,
    Planes,
    StereoView,
    pack_quads,
)


def match(views: list[StereoView], options: PatchmatchOptions, prior: PlanarPrior | None) -> Matched:
    everywhere = np.ones(truth().shape, bool)
    return patchmatch_cuda(pack_quads(reference()), everywhere, level(0.22), views, options, prior)


def scene(cameras: str) -> tuple[list[StereoView], PatchmatchOptions, PlanarPrior]:
    """Every input at once: views' surfaces and weights, a prior."""
    known = truth().astype(np.float32)
    known[:10], known[-8:] = 0, -1
    visible = np.linspace(0.2, 1, known.size, dtype=np.float32).reshape(known.shape)
    views = [other_view(p, turn=0.22 * p[0])[1] for p in POSITIONS[cameras]]
    views = [StereoView(**{**vars(v), "inverse": known, "visible": visible}) for v in views]
    ys, xs = np.indices(known.shape) + 0.5
    wall = Planes(inverse_at(xs, ys).astype(np.float32), level(0.0015).inverse, level(0.001).inverse)
    prior = PlanarPrior(wall, np.full(known.shape, 0.05, np.float32))
    return views, PatchmatchOptions(**{**vars(OPTIONS), "geometric_share": 0.2}), prior


@pytest.mark.parametrize("with_everything", [False, True])
@pytest.mark.parametrize("cameras", list(POSITIONS))
def test_planes_agree_with_the_cpu(cameras, with_everything):
    views, options, prior = scene(cameras)
    if not with_everything:
        views, prior = [StereoView(**{**vars(v), "inverse": None, "visible": None}) for v in views], None
    found, expected = match(views, options, prior), run(views, options, prior=prior)
    # Rounding turns near ties: another plane may win, none that is worse.
    assert (np.abs(found.cost - expected.cost) < 0.01).mean() > 0.95
    assert np.median(np.abs(found.planes.inverse / expected.planes.inverse - 1)) < 1e-3
    assert ((found.view_costs < WORST_COST) == (expected.view_costs < WORST_COST)).mean() > 0.98


def test_bytes_are_equal_from_run_to_run():
    views, options, prior = scene("three")
    first = match(views, options, prior)
    for _ in range(5):
        again = match(views, options, prior)
        assert np.array_equal(first.planes.inverse, again.planes.inverse) and np.array_equal(first.cost, again.cost)
        assert np.array_equal(first.view_costs, again.view_costs)


def test_the_current_stream_is_used():
    views, options, prior = scene("two")
    expected = match(views, options, prior)
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(10_000_000)
        found = match(views, options, prior)
    assert np.array_equal(found.cost, expected.cost)
