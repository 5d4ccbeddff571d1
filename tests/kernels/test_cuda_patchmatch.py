"""PatchMatch's kernel for GPUs, compiled for the CPU, against the CPU's own kernel: both step from the planes of the
iteration before with the same numbers, so that they differ by rounding alone."""

import ctypes

import cuda_emulation
import numpy as np
import pytest
from test_patchmatch import (
    EVERYWHERE,
    HEIGHT,
    OPTIONS,
    POSITIONS,
    TRUE,
    WIDTH,
    level,
    other_view,
    reference,
    run,
    truth,
)

from sparse3d.kernels.cuda_patchmatch import patchmatch_cuda
from sparse3d.kernels.library import KernelError
from sparse3d.kernels.patchmatch import (
    WORST_COST,
    Matched,
    PatchmatchOptions,
    PlanarPrior,
    Planes,
    StereoView,
    pack_quads,
)


@pytest.fixture(autouse=True)
def emulated(monkeypatch) -> ctypes.CDLL:
    return cuda_emulation.install(monkeypatch)


def run_cuda(views: list[StereoView], options: PatchmatchOptions = OPTIONS, mask: np.ndarray = EVERYWHERE, **given):
    start = given.pop("start", level(0.22))
    return patchmatch_cuda(pack_quads(reference()), mask, start, views, options, **given)


def maps(found: Matched) -> dict[str, np.ndarray]:
    return {**vars(found.planes), "cost": found.cost, "view_costs": found.view_costs}


def changed(**settings) -> PatchmatchOptions:
    return PatchmatchOptions(**{**vars(OPTIONS), **settings})


def views_with_surfaces(dtype: type) -> list[StereoView]:
    known = np.full((HEIGHT, WIDTH), 0.24, dtype)
    known[:10], known[-8:] = 0, -1
    visible = np.linspace(0.2, 1, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(dtype)
    return [StereoView(**{**vars(other_view(p)[1]), "inverse": known, "visible": visible}) for p in POSITIONS["three"]]


def a_prior(dtype: type) -> PlanarPrior:
    wall = Planes(truth().astype(dtype), level(TRUE[1], dtype).inverse, level(TRUE[2], dtype).inverse)
    return PlanarPrior(wall, np.full((HEIGHT, WIDTH), 0.1, dtype))


@pytest.mark.parametrize("iterations", [1, 3, 8])
@pytest.mark.parametrize("case", ["photos", "surfaces", "surfaces and prior"])
def test_float64_equals_the_cpu(case, iterations):
    views = [other_view(p)[1] for p in POSITIONS["three"]] if case == "photos" else views_with_surfaces(np.float64)
    given = {"prior": a_prior(np.float64)} if "prior" in case else {}
    options = changed(iterations=iterations, geometric_share=0.2, seed=3)
    found = run_cuda(views, options, start=level(0.22, np.float64), **given)
    expected = run(views, options, start=level(0.22, np.float64), **given)
    for key, want in maps(expected).items():
        np.testing.assert_allclose(maps(found)[key], want, rtol=1e-7, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("cameras", list(POSITIONS))
def test_float32_agrees_with_the_cpu(cameras):
    views = [other_view(p, turn=0.22 * p[0])[1] for p in POSITIONS[cameras]]
    found, expected = run_cuda(views), run(views)
    # Rounding turns near ties: another plane may win, none that is worse.
    assert (np.abs(found.cost - expected.cost) < 0.01).mean() > 0.95
    assert np.median(np.abs(found.planes.inverse / expected.planes.inverse - 1)) < 1e-3
    seen = (found.view_costs < WORST_COST).any(0)
    assert np.median(np.abs(found.planes.inverse / truth() - 1)[seen]) < 0.006


def test_bytes_are_equal_in_either_order_of_threads(emulated):
    views = views_with_surfaces(np.float32)
    first = run_cuda(views, prior=a_prior(np.float32))
    emulated.s3d_emulation_set_order(cuda_emulation.DESCENDING)
    try:
        again = run_cuda(views, prior=a_prior(np.float32))
    finally:
        emulated.s3d_emulation_set_order(cuda_emulation.ASCENDING)
    for key, want in maps(first).items():
        assert np.array_equal(want, maps(again)[key]), key


def test_masked_pixels_are_left_alone_and_lend_no_planes():
    mask = EVERYWHERE.copy()
    mask[:, :20] = False
    found = run_cuda([other_view((0.4, 0, 0))[1]], mask=mask)
    assert (found.planes.inverse[~mask] == np.float32(0.22)).all() and (found.cost[~mask] == WORST_COST).all()
    assert (found.view_costs[0][~mask] == WORST_COST).all()
    assert (np.abs(found.planes.inverse / truth() - 1)[mask] < 0.02).mean() > 0.9


@pytest.mark.parametrize("shape", [(2, 2), (3, 40), (40, 3), (17, 33)])
def test_tiny_images(shape):
    quads = pack_quads(np.random.default_rng(0).random(shape))
    view = StereoView(quads, np.eye(3), np.array([1.0, 0, 0]), np.eye(3), np.array([-1.0, 0, 0]))
    zeros = np.zeros(shape, np.float32)
    start = Planes(zeros + np.float32(0.3), zeros, zeros)
    found = patchmatch_cuda(quads, np.ones(shape, bool), start, [view], OPTIONS)
    assert np.isfinite(found.cost).all() and np.isfinite(found.view_costs).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, 1e30])
def test_planes_and_surfaces_that_are_not_numbers_are_replaced(bad):
    start, known = level(0.22), truth().astype(np.float32)
    start.inverse[::2] = bad
    start.slope_x[1::2, ::3] = bad
    known[::3] = bad
    view = StereoView(**{**vars(other_view((0.4, 0, 0))[1]), "inverse": known})
    found = run_cuda([view], changed(geometric_share=0.2), start=start)
    sure = found.cost < WORST_COST
    assert sure.mean() > 0.5  # -inf in a view means that it is masked there
    assert np.isfinite(found.planes.inverse[sure]).all() and np.isfinite(found.planes.slope_x[sure]).all()


def test_the_callers_arrays_are_left_as_they_are():
    start, views = level(0.22), [other_view((0.4, 0, 0))[1]]
    run_cuda(views, changed(iterations=1), start=start)
    assert (start.inverse == np.float32(0.22)).all() and (start.slope_x == 0).all()


def test_wrong_arguments_are_named():
    view = other_view((0.4, 0, 0))[1]
    with pytest.raises(KernelError, match="views"):
        run_cuda([])
    with pytest.raises(KernelError, match="far_inverse"):
        run_cuda([view], PatchmatchOptions(0.5, 0.2, 0.01))
    with pytest.raises(TypeError, match="one dtype"):
        run_cuda([view], start=Planes(*(np.zeros((3, 3), np.float32),) * 3))
    with pytest.raises(TypeError, match="inverse depth"):
        run_cuda([StereoView(**{**vars(view), "inverse": np.zeros((HEIGHT, WIDTH))})])
