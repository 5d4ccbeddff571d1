"""One contract for all backends: every output, every gradient and every option, against the reference."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from contestants import CONTESTANTS, TYPED, Contestant, available
from splat_scenes import (
    BACKGROUND,
    NAMES,
    Scene,
    draw,
    images_and_gradients,
    images_of,
    outliers,
    random_scene,
    weighted_sum,
    with_masks,
    with_scales,
    with_uncertainty,
)

from sparse3d.render.rasterise import RenderOptions

DOUBLE = 1e-9
"""Tolerance in float64, for every value."""

SCENES: dict[str, Callable[[], Scene]] = {
    "ordinary": lambda: random_scene(300, seed=1, degree=2),
    "degree 3, one view": lambda: random_scene(150, seed=2, degree=3, views=1, features=0),
    "many features": lambda: random_scene(80, seed=8, degree=0, views=1, features=7),
    "elongated 25:1": lambda: with_scales(random_scene(80, seed=3), 25.0, longest=0.5),
    "tiny": lambda: random_scene(400, seed=5, sigma=(1e-5, 2e-3)),
    "huge": lambda: random_scene(40, seed=6, sigma=(0.5, 3.0)),
    "near the camera": lambda: random_scene(60, seed=4, depth=(0.005, 0.6), sigma=(0.002, 0.05), spread=1.5),
    "off screen": lambda: random_scene(200, seed=7, spread=3.0, sigma=(0.1, 0.6)),
    "many": lambda: random_scene(3000, seed=10, size=(96, 64), views=1, sigma=(0.005, 0.05)),
    "none": lambda: with_uncertainty(random_scene(0)),
    "one": lambda: with_uncertainty(random_scene(1, seed=3, spread=0.2)),
    "one pixel": lambda: random_scene(20, seed=11, size=(1, 1)),
    "one tile": lambda: random_scene(60, seed=12, size=(32, 32)),
    "a pixel more than a tile": lambda: random_scene(60, seed=13, size=(33, 17)),
    "wide": lambda: random_scene(60, seed=14, size=(131, 9), views=3),
}

EVERYTHING = {"median_depth": True, "normals": True, "antialias": True}
OPTIONS: dict[str, dict] = {
    "plain": {},
    "antialias": {"antialias": True},
    "black background": {"background": (0.0, 0.0, 0.0)},
    "no depth": {"depth": False},
    "median depth": {"median_depth": True},
    "median depth alone": {"median_depth": True, "depth": False},
    "normals": {"normals": True},
    "normals, no depth": {"normals": True, "depth": False},
    "near": {"near": 2.5},
    "eps2d 0": {"eps2d": 0.0},
    "eps2d 1, antialias": {"eps2d": 1.0, "antialias": True},
    "one thread": {"threads": 1},
    "three threads": {"threads": 3},
    "everything": EVERYTHING,
}

EXTRAS: dict[str, Callable[[], Scene]] = {
    "no features": lambda: random_scene(100, seed=20, features=0),
    "one feature": lambda: random_scene(100, seed=121, features=1),
    "7 features": lambda: random_scene(100, seed=22, features=7),
    "32 features": lambda: random_scene(100, seed=23, features=32),
    "uncertainty": lambda: with_uncertainty(random_scene(100, seed=24, features=0)),
    "uncertainty and 31 features": lambda: with_uncertainty(random_scene(100, seed=25, features=31)),
    "masks": lambda: with_masks(random_scene(100, seed=26, size=(100, 70))),
    "masks, uncertainty and features": lambda: with_masks(with_uncertainty(random_scene(100, seed=27, features=3))),
}


@pytest.fixture(params=CONTESTANTS)
def contestant(request, monkeypatch) -> Contestant:
    return available(request.param, monkeypatch)


@pytest.fixture(params=TYPED, ids=lambda pair: f"{pair[0]} {str(pair[1]).removeprefix('torch.')}")
def typed(request, monkeypatch) -> tuple[Contestant, torch.dtype]:
    name, dtype = request.param
    return available(name, monkeypatch), dtype


def settings_for(backend, options: dict) -> RenderOptions:
    return RenderOptions(**{"backend": backend, "background": BACKGROUND, **options})


def lacking(contestant: Contestant, scene: Scene, options: dict) -> str | None:
    """The first thing asked for that the contestant has to refuse."""
    asked = [name for name, value in options.items() if value] + ([] if scene.masks is None else ["masks"])
    return next((name for name in asked if name in contestant.lacks), None)


def compare(contestant: Contestant, scene: Scene, options: dict, dtype: torch.dtype) -> None:
    """All images and gradients of the contestant beside the float64 reference's."""
    frozen = "K" if "gradients to K" in contestant.lacks else ""
    settings = settings_for(contestant.backend, options)
    missing = lacking(contestant, scene, options)
    if missing is not None:
        with pytest.raises(ValueError, match=missing):
            images_and_gradients(scene, settings, torch.float32, device=contestant.device, frozen=frozen)
        return
    if dtype == torch.float32:
        # What float32 can hold is drawn by both, so that the comparison is of the arithmetic alone.
        scene = scene.to(torch.float32).to(torch.float64)
    expected = images_and_gradients(scene, settings_for("reference", options), frozen=frozen)
    found = images_and_gradients(scene, settings, dtype, device=contestant.device, frozen=frozen)
    double = dtype == torch.float64
    # The mean depth of a single splat is constant, its gradient to alpha what rounding leaves.
    looser = 10 if len(scene.tensors[0]) == 1 else 1
    limits = (DOUBLE, DOUBLE) if double else (contestant.image_tolerance, looser * contestant.gradient_tolerance)
    for want, got, limit in zip(expected, found, limits, strict=True):
        assert want.keys() == got.keys()
        for key in want:
            assert outliers(got[key], want[key], limit) <= (0 if double else contestant.allowed), key


@pytest.mark.parametrize("options", ["plain", "everything"])
@pytest.mark.parametrize("scene", SCENES)
def test_scenes(typed, scene, options):
    contestant, dtype = typed
    compare(contestant, SCENES[scene](), OPTIONS[options], dtype)


@pytest.mark.parametrize("options", OPTIONS)
def test_options(typed, options):
    contestant, dtype = typed
    compare(contestant, random_scene(150, seed=30), OPTIONS[options], dtype)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_degrees(contestant, degree, antialias):
    scene = random_scene(100, seed=40 + degree, degree=degree)
    compare(contestant, scene, {"antialias": antialias}, contestant.dtype)


@pytest.mark.parametrize("options", ["plain", "no depth", "normals", "median depth"])
@pytest.mark.parametrize("extra", EXTRAS)
def test_extra_channels_and_masks(contestant, extra, options):
    compare(contestant, EXTRAS[extra](), OPTIONS[options], contestant.dtype)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("depth", [False, True])
def test_statistics(contestant, depth, masked):
    scene = random_scene(200, seed=9, size=(80, 50))
    scene = with_masks(scene) if masked else scene
    found = []
    for backend, device, kind in (
        ("reference", "cpu", torch.float64),
        (contestant.backend, contestant.device, contestant.dtype),
    ):
        moved = scene.to(kind, device)
        leaves = tuple(t.clone().requires_grad_(name != "K") for name, t in moved.named())
        options = RenderOptions(backend=backend, statistics=True, depth=depth)
        if len(found) == 1 and "statistics" in contestant.lacks:
            with pytest.raises(ValueError, match="statistics"):
                draw(moved, leaves, options)
            return
        output = draw(moved, leaves, options)
        output.rgb.square().sum().backward()
        found.append(output.statistics)
    tolerance = DOUBLE if contestant.double else 1e-3
    for field in ("radii", "weight_sum", "weight_max", "centre_gradients"):
        got, want = (getattr(statistics, field).double().cpu() for statistics in reversed(found))
        torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)
    assert (found[1].weight_max <= 1).all() and (found[1].radii > 0).any()


def gradients_of(contestant: Contestant, scene: Scene, **options) -> tuple[dict, dict]:
    frozen = "K" if "gradients to K" in contestant.lacks else ""
    settings = RenderOptions(backend=contestant.backend, **options)
    dtype = contestant.dtype
    return images_and_gradients(scene, settings, dtype, device=contestant.device, frozen=frozen)


def test_masked_pixels_are_background_and_the_others_are_untouched(contestant):
    if "masks" in contestant.lacks:
        pytest.skip("refused, see test_extra_channels_and_masks")
    scene = with_masks(with_uncertainty(random_scene(100, seed=50)))
    options = settings_for(contestant.backend, EVERYTHING)
    output, whole = (
        images_of(draw(s, s.tensors, options))
        for s in (scene.to(torch.float64, contestant.device), dataclasses.replace(scene, masks=None))
    )
    for name, image in output.items():
        empty = torch.tensor(BACKGROUND, dtype=torch.float64) if name == "rgb" else torch.zeros((), dtype=torch.float64)
        kept = scene.masks if image.dim() == 3 else scene.masks[..., None]
        torch.testing.assert_close(image.cpu(), torch.where(kept, whole[name].cpu(), empty), rtol=0, atol=1e-12)


def test_a_mask_without_pixels_draws_nothing(contestant):
    if "masks" in contestant.lacks:
        pytest.skip("refused, see test_extra_channels_and_masks")
    scene = random_scene(30, seed=51)
    scene = dataclasses.replace(scene, masks=torch.zeros(2, 45, 70, dtype=torch.bool))
    images, gradients = gradients_of(contestant, scene)
    assert (images["alpha"] == 0).all() and all((g == 0).all() for g in gradients.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [(0, math.nan), (0, math.inf), (1, 0.0), (1, math.nan), (2, math.nan), (2, math.inf), (3, math.nan), (3, 0.0),
     (4, math.nan), (5, math.nan), (8, math.nan)],
)  # fmt: skip
def test_a_bad_gaussian_is_left_out_and_the_rest_is_untouched(contestant, field, value):
    scene = with_uncertainty(random_scene(30, seed=1))
    tensors = [t.clone() for t in scene.tensors]
    rest = [t if name in ("cam_from_world", "K") else t[1:].clone() for name, t in scene.named()]
    tensors[field][0] = value
    with_bad, gradients = gradients_of(contestant, dataclasses.replace(scene, tensors=tuple(tensors)), normals=True)
    without, _ = gradients_of(contestant, dataclasses.replace(scene, tensors=tuple(rest)), normals=True)
    for name, image in without.items():
        torch.testing.assert_close(with_bad[name], image, rtol=0, atol=1e-12 if contestant.double else 1e-6)
    for name, gradient in gradients.items():
        assert torch.isfinite(gradient).all(), name
        assert name in NAMES[6:8] or (gradient[0] == 0).all(), name


def test_behind_the_camera_nothing_is_drawn(contestant):
    scene = random_scene(20)
    flipped = (scene.tensors[0] * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64), *scene.tensors[1:])
    images, gradients = gradients_of(contestant, dataclasses.replace(scene, tensors=flipped), median_depth=False)
    assert (images["alpha"] == 0).all() and (images["depth"] == 0).all()
    assert all((g == 0).all() for g in gradients.values())


def test_cameras_may_be_of_another_dtype_and_gradients_keep_it(contestant):
    scene = random_scene(30, seed=52).to(torch.float32, contestant.device)
    poses = scene.tensors[6].clone().requires_grad_()
    output = draw(scene, (*scene.tensors[:6], poses, scene.tensors[7]), RenderOptions(backend=contestant.backend))
    assert output.rgb.dtype == torch.float32 and poses.dtype == torch.float64
    (gradient,) = torch.autograd.grad(weighted_sum(images_of(output)), poses)
    assert gradient.dtype == torch.float64 and (gradient[:, :3] != 0).any() and (gradient[:, 3] == 0).all()
