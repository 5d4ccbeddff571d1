"""The joint optimisation on a scene whose answer is known."""

import time
from dataclasses import replace

import pytest
import torch
from toy import toy_cameras, toy_params, toy_prior, with_cameras

from sparse3d.core import se3
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.growth import NO_GROWTH, GrowthConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.progress import StopTraining
from sparse3d.optim.state import OptimiserState
from sparse3d.optim.terms.coherence import CoherenceConfig
from sparse3d.optim.terms.dropout import DropoutConfig
from sparse3d.optim.terms.exposure import ExposureConfig
from sparse3d.optim.terms.footprint import FootprintConfig
from sparse3d.optim.terms.relative_depth import RelativeDepthConfig
from sparse3d.render.rasterise import RenderOptions

QUICK = OptimConfig(
    dropout=DropoutConfig(),
    opacity_lr=0.05,
    passes=20,
    camera_start=0,
    log_every=10,
    rotation_lr_rad=2e-4,
    translation_lr=2e-4,
    focal_lr=2e-4,
)


@pytest.fixture
def scene(generator):
    params = toy_params(generator)
    return params, toy_prior(params, toy_cameras())


def perturbed(params, generator):
    return params.replace(sh=params.sh + 0.5 * torch.randn(params.sh.shape, generator=generator))


def run(params, prior, config=QUICK, **rest):
    return optimise(params, prior, config, render=RenderOptions(), seed=0, **rest)


def test_colours_are_recovered(scene, generator):
    params, prior = scene
    result = run(perturbed(params, generator), prior, replace(QUICK, colour_lr=0.05))
    assert result.iterations_done == 60
    assert result.history[-1]["psnr"] > result.history[0]["psnr"] + 6


def test_a_turned_camera_turns_back(scene):
    params, prior = scene
    tangent = torch.zeros(3, 6, dtype=torch.float64)
    tangent[1] = torch.tensor([0.01, 0.0, 0.0, 0.0, 0.012, 0.0])
    moved = prior.cameras.replace(cam_from_world=se3.se3_exp(tangent) @ prior.cameras.cam_from_world)
    config = replace(QUICK, passes=80, rotation_lr_rad=6e-4, translation_lr=6e-4, mean_lr_px=1e-4, depth_weight=0.0)
    result = run(params, with_cameras(prior, moved), config)
    before = _rotation_error(moved.cam_from_world[1], prior.cameras.cam_from_world[1])
    after = _rotation_error(result.cameras.cam_from_world[1], prior.cameras.cam_from_world[1])
    assert after < 0.3 * before


def test_what_is_known_stays(scene):
    params, prior = scene
    known = prior.cameras.replace(pose_known=(True, False, True), intrinsics_known=(True, True, True))
    result = run(params, with_cameras(prior, known))
    start = prior.cameras.cam_from_world
    assert torch.allclose(result.cameras.cam_from_world[[0, 2]], start[[0, 2]], atol=1e-12)
    assert not torch.allclose(result.cameras.cam_from_world[1], start[1], atol=1e-9)
    assert torch.equal(result.cameras.K, prior.full_cameras.K)


def test_a_shared_focal_length_is_refined_together(scene):
    params, prior = scene
    K = prior.cameras.K.clone()
    K[:, :2, :2] *= 1.03
    config = replace(QUICK, passes=80, focal_lr=1e-3, mean_lr_px=1e-4, refine_poses=False, depth_weight=0.0)
    result = run(params, with_cameras(prior, prior.cameras.replace(K=K)), config)
    focal = result.cameras.K[:, 0, 0] / prior.full_cameras.K[:, 0, 0]
    assert torch.allclose(focal, focal[0].expand(3))
    assert abs(float(focal[0]) - 1) < 0.01
    assert torch.equal(result.cameras.K[:, 0, 2], prior.full_cameras.K[:, 0, 2])


def test_a_number_of_iterations_does_not_depend_on_the_photos(scene):
    params, prior = scene
    for photos in (2, 3):
        some = choose_photos(prior, range(photos))
        assert run(params, some, replace(QUICK, iterations=7)).iterations_done == 7
    assert replace(QUICK, iterations=7).steps(3) == 7 and QUICK.steps(3) == 60


def test_many_photos_are_visited_more_often_and_may_change_more():
    assert [QUICK.steps(photos) / photos for photos in (2, 3, 4, 6, 24)] == [20, 20, 36, 80, 80]
    few, six, many = (QUICK.for_photos(photos) for photos in (3, 6, 24))
    assert few == replace(QUICK, growth=NO_GROWTH)
    assert [some.opacity_lr / few.opacity_lr for some in (six, many)] == pytest.approx([2, 3])
    assert {some.mean_lr_px for some in (few, six, many)} == {few.mean_lr_px}, "centres' steps stay"
    exposed = replace(QUICK, exposure=ExposureConfig(lr=0.024))
    assert [exposed.for_photos(n).exposure.lr for n in (3, 6, 24)] == pytest.approx([0.024, 0.003, 0.002])
    assert replace(exposed, iterations=7).for_photos(24).exposure.lr == 0.024, "as many steps as with three photos"
    assert (few.sh_degree, six.sh_degree, replace(QUICK, sh_degree=2).for_photos(6).sh_degree) == (0, 1, 2)
    assert six.for_photos(6) == six, "nothing grows twice"


def test_with_six_photos_colours_depend_on_the_direction(scene):
    params, prior = scene
    twice = choose_photos(prior, [0, 1, 2, 0, 1, 2])
    for photos, coefficients in ((prior, 1), (twice, 4)):
        assert run(params, photos, replace(QUICK, passes=1)).gaussians.sh.shape[1] == coefficients


@pytest.mark.parametrize("wrong", [{"passes": 0.5}, {"steps": 0.0}, {"sh_photos": -1}])
def test_growth_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="growth"):
        GrowthConfig(**wrong)


@pytest.mark.parametrize(("together", "steps"), [(1, 6), (2, 4), (3, 2), (0, 2), (24, 2)])
def test_a_pass_visits_each_photo_once_however_many_make_a_step(scene, together, steps):
    params, prior = scene
    config = replace(QUICK, passes=2, views_per_step=together)
    assert config.steps(3) == steps == run(params, prior, config).iterations_done


def test_the_step_of_several_photos_follows_the_mean_of_their_gradients(scene, generator):
    """Adam's first moments after the first step are a tenth of the gradient."""
    params, prior = scene
    start = perturbed(params, generator)

    def first_moments(views, together):
        some, config = choose_photos(prior, views), replace(QUICK, passes=1, views_per_step=together)
        state = OptimiserState(start, some, config, iterations=1, seed=0)
        state.step(0, range(len(views)), RenderOptions())
        return {name: value.clone() for name, value in vars(state.splats.state.first).items()}, state.fit.loss

    alone = [first_moments([view], 1) for view in range(3)]
    together, loss = first_moments([0, 1, 2], 3)
    for name, moment in together.items():
        mean = sum(moments[name] for moments, _ in alone) / 3
        assert torch.allclose(moment, mean, rtol=1e-3, atol=1e-4 * float(mean.abs().max()) + 1e-11), name
    assert loss == pytest.approx(sum(loss for _, loss in alone) / 3)


@pytest.mark.parametrize(
    "wrong", [{"iterations": -1}, {"views_per_step": -1}, {"iterations": 5, "passes_choices": (1,)}]
)
def test_a_schedule_that_makes_no_sense_is_an_error(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OptimConfig(**wrong)


def choose_photos(prior, views):
    return replace(
        prior,
        cameras=prior.cameras.select(views),
        full_cameras=prior.full_cameras.select(views),
        **{name: tuple(getattr(prior, name)[v] for v in views) for name in ("depths", "images", "masks")},
    )


def test_same_seed_same_bytes(scene, generator):
    params, prior = scene
    start = perturbed(params, generator)
    first, second = run(start, prior), run(start, prior)
    assert torch.equal(first.gaussians.means, second.gaussians.means)
    assert torch.equal(first.gaussians.sh, second.gaussians.sh)
    assert torch.equal(first.cameras.cam_from_world, second.cameras.cam_from_world)


class MemoryStore:
    """Keeps the state in memory, and can kill the run as a signal would."""

    def __init__(self):
        self.arrays = None
        self.saves = 0

    def load(self):
        return self.arrays

    def save(self, arrays):
        self.arrays = {k: v.copy() for k, v in arrays.items()}
        self.saves += 1


def test_a_stopped_run_goes_on_where_it_was(scene, generator):
    params, prior = scene
    start = perturbed(params, generator)
    whole = run(start, prior)
    store = MemoryStore()

    def stop_at_thirty(progress):
        if progress.iteration == 30:
            raise KeyboardInterrupt

    half = run(start, prior, on_progress=stop_at_thirty, checkpoints=store)
    assert half.interrupted and half.iterations_done == 30
    rest = run(start, prior, checkpoints=store)
    assert rest.iterations_done == 60 and not rest.interrupted
    assert torch.equal(rest.gaussians.means, whole.gaussians.means)
    assert torch.equal(rest.cameras.cam_from_world, whole.cameras.cam_from_world)
    assert [h["iteration"] for h in rest.history] == [h["iteration"] for h in whole.history]


def test_who_is_told_of_progress_may_look_and_may_end_it(scene, generator):
    params, prior = scene
    start, seen = perturbed(params, generator), []

    def look_and_stop(progress):
        seen.append(progress.snapshot())
        if progress.iteration == 20:
            raise StopTraining

    result = run(start, prior, on_progress=look_and_stop)
    assert result.interrupted and result.iterations_done == 20
    assert len(seen) == 2 and torch.equal(seen[1].gaussians.means, result.gaussians.means)
    assert not torch.equal(seen[0].gaussians.sh, seen[1].gaussians.sh), (
        "a copy does not change with what it was taken from"
    )
    assert seen[1].cameras.sizes == prior.cameras.sizes


def test_a_pause_is_not_time_spent_on_optimising(scene):
    params, prior = scene
    times = []

    def pause(progress):
        times.append(progress.seconds)
        time.sleep(1.0)

    run(params, prior, on_progress=pause)
    assert len(times) == 6 and times[-1] < 3.0


def test_a_state_of_another_version_is_not_restored(scene, caplog):
    params, prior = scene
    store = MemoryStore()
    run(params, prior, replace(QUICK, passes=2), checkpoints=store)
    assert store.arrays is not None
    del store.arrays["format"]
    again = run(params, prior, replace(QUICK, passes=2), checkpoints=store)
    assert "of another version: optimising from the start" in caplog.text
    assert [h["iteration"] for h in again.history] == [6.0]


def test_plain_step_and_losses_serve_where_no_kernels_are(scene, generator, monkeypatch):
    params, prior = scene
    start, config = perturbed(params, generator), replace(QUICK, colour_lr=0.05, mean_lr_px=0.01)
    fused = run(start, prior, config)
    monkeypatch.setattr("sparse3d.kernels.library.is_available", lambda: False)
    plain = run(start, prior, config)
    # Adam divides by the gradient's size, so that rounding grows with the iterations and the length of the steps: 0.02 dB here.
    for limit, a, b in zip((1e-3, 2e-3, 1e-2, 0.05, 0.05, 0.05), plain.history, fused.history, strict=True):
        assert a["psnr"] == pytest.approx(b["psnr"], abs=limit)


def test_scales_stay_below_their_bound(scene):
    params, prior = scene
    result = run(params, prior, replace(QUICK, scale_lr=0.5, max_scale=1.5))
    assert float(result.gaussians.log_scales.exp().max()) <= 0.05 * 1.5 * 1.001


def test_no_gaussians_is_an_error(scene):
    params, prior = scene
    with pytest.raises(ValueError, match="no Gaussians"):
        run(params.select(torch.zeros(len(params), dtype=torch.bool)), prior)


def _rotation_error(a, b):
    return float(se3.rotation_angle_deg(a[:3, :3] @ b[:3, :3].T))


@pytest.mark.parametrize(
    "term",
    [
        {"dropout": DropoutConfig(share=0.3)},
        {"relative_depth": RelativeDepthConfig(patch_weight=0.1, patch=4, reduction=2)},
        {"footprint": FootprintConfig(weight=1.0, max_footprints=0.5)},
        {"coherence": CoherenceConfig(reach=0.2, rows=4)},
        {"views_per_step": 2, "dropout": DropoutConfig(share=0.3), "passes": 30},
    ],
    ids=lambda term: next(iter(term)),
)
def test_a_term_with_numbers_of_its_own_goes_on_with_the_same_ones(scene, generator, term):
    params, prior = scene
    start, store = perturbed(params, generator), MemoryStore()
    config = replace(QUICK, **term)
    whole = run(start, prior, config)

    def stop(progress):
        if progress.iteration >= 30:
            raise StopTraining

    run(start, prior, config, checkpoints=store, on_progress=stop)
    resumed = run(start, prior, config, checkpoints=store)
    assert torch.equal(whole.gaussians.means, resumed.gaussians.means)
    assert torch.equal(whole.gaussians.log_scales, resumed.gaussians.log_scales)
    assert not torch.equal(whole.gaussians.means, run(start, prior).gaussians.means)
