"""The plain training loop on a scene whose answer is known."""

import time

import pytest
import torch
from toy import toy_cameras, toy_params, toy_prior

from sparse3d.bench.plain.densify import DensifyConfig
from sparse3d.bench.plain.training import PlainConfig, TrainingPhotos, photo_order, scene_extent, train_plain
from sparse3d.core.gaussians import GaussianParams


@pytest.fixture
def scene(generator) -> tuple[GaussianParams, TrainingPhotos]:
    """A tenth of the toy scene's Gaussians, grown to cover it, and its photos."""
    params = toy_params(generator)
    prior = toy_prior(params, toy_cameras())
    few = params.select(torch.randperm(len(params), generator=generator)[: len(params) // 10])
    return few.replace(log_scales=few.log_scales + 1), TrainingPhotos(prior.cameras, prior.images, prior.masks)


def test_photos_are_learnt_and_densification_helps(scene):
    gaussians, photos = scene
    fixed = train_plain(gaussians, photos, PlainConfig(300), seed=0, threads=1)
    assert [entry["iteration"] for entry in fixed.history] == [50, 100, 150, 200, 250, 300]
    assert fixed.history[-1]["psnr"] > fixed.history[0]["psnr"] + 3
    assert len(fixed.gaussians) == len(gaussians) and fixed.gaussians.sh.shape[1] == 1
    densify = DensifyConfig(start=50, every=50, stop=200)
    grown = train_plain(gaussians, photos, PlainConfig(300, densify), seed=0, threads=1)
    assert len(grown.gaussians) > 1.2 * len(gaussians)
    assert grown.history[-1]["psnr"] > fixed.history[-1]["psnr"] + 0.5


def test_whoever_looks_sees_the_gaussians_of_that_time_and_takes_none(scene):
    gaussians, photos = scene
    seen = []

    def look(entry, now):
        seen.append((entry["iteration"], entry["seconds"], now))
        time.sleep(1.0)

    result = train_plain(gaussians, photos, PlainConfig(120), seed=0, threads=1, look=look)
    assert [iteration for iteration, _, _ in seen] == [50, 100, 120]
    assert torch.equal(seen[-1][2].means, result.gaussians.means) and not torch.equal(
        seen[0][2].means, seen[1][2].means
    )
    unseen = train_plain(gaussians, photos, PlainConfig(120), seed=0, threads=1)
    assert torch.equal(unseen.gaussians.means, result.gaussians.means)
    assert result.history[-1]["seconds"] < unseen.history[-1]["seconds"] + 1.0


def test_the_same_seed_gives_the_same_gaussians_and_another_does_not(scene):
    gaussians, photos = scene
    config = PlainConfig(60, DensifyConfig(start=20, every=20))
    first, again, other = (train_plain(gaussians, photos, config, seed=seed, threads=2).gaussians for seed in (3, 3, 4))
    assert all(torch.equal(getattr(first, name), getattr(again, name)) for name in vars(first))
    assert len(first) != len(other) or not torch.equal(first.means, other.means)


def test_colours_grow_by_one_degree_at_a_time(scene):
    gaussians, photos = scene
    for iterations, coefficients in ((10, 1), (11, 4), (25, 9), (60, 16)):
        config = PlainConfig(iterations, sh_every=10)
        assert train_plain(gaussians, photos, config, seed=0, threads=1).gaussians.sh.shape[1] == coefficients


def test_cameras_give_the_extent_and_each_photo_its_turn(generator):
    cameras = toy_cameras(3)
    centres = cameras.centres
    radius = max(float((c - centres.mean(0)).norm()) for c in centres)
    assert scene_extent(cameras) == pytest.approx(1.1 * radius)
    order = photo_order(3, 7, generator)
    assert len(order) == 7 and sorted(order[:3]) == sorted(order[3:6]) == [0, 1, 2]
