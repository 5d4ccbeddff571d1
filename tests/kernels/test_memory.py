"""Work memory stays within what docs/rendering.md states, and is not allocated anew in a steady loop."""

import pytest
import torch

from sparse3d.kernels.context import POOL
from sparse3d.render.benchmark import RasteriserPass, slab_scene
from sparse3d.render.options import RenderOptions

GIB = 2**30
SLACK = 9 / 8
"""Of buffers that grow."""


@pytest.fixture
def fresh_pool():
    POOL.release_memory()
    yield
    POOL.release_memory()


def passes(count, rounds, **options):
    run = RasteriserPass(*slab_scene(count, 1024, 768), RenderOptions(backend="cpu", threads=2, **options))
    held = []
    for _ in range(rounds):
        run.forward()
        run.backward()
        run.images = []
        held.append(POOL.idle_bytes())
    tensors = sum(2 * t.numel() * t.element_size() for t in run.leaves())  # with their gradients
    assert all(t.grad is not None and torch.isfinite(t.grad).all() for t in run.leaves())
    return held, tensors


def documented_bytes(count, pairs, channels, threads=2):
    sums = -(-(6 + channels) // 4) * 4
    per_gaussian = 96 + (4 * channels if channels > 4 else 0)
    return SLACK * (count * per_gaussian + pairs * (4 + 4 * sums)) + threads * (channels + 3) * 5440 + 2**20


@pytest.mark.parametrize(("options", "channels"), [({"depth": False}, 3), ({"normals": True}, 7)])
def test_two_million_gaussians_stay_within_four_gib(fresh_pool, options, channels):
    held, tensors = passes(2_000_000, 1, **options)
    # Of one pixel each in tiles of 32: hardly more than one tile a Gaussian, by far fewer than two.
    assert held[-1] <= documented_bytes(2_000_000, 4_000_000, channels)
    pixels = 1024 * 768 * 4 * 2 * (channels + 1)  # images and their gradients
    assert held[-1] + tensors + pixels < 4 * GIB


def test_a_steady_loop_allocates_nothing(fresh_pool):
    held, _ = passes(50_000, 4)
    assert held[0] > 0 and held[1:] == [held[0]] * 3
