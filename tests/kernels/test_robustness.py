"""Bad Gaussians, no Gaussians, one Gaussian; bad arguments; what one call leaves for the next."""

import gc
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splat_scenes import NAMES, draw, images_of, random_scene

from sparse3d.core.cameras import Cameras
from sparse3d.kernels.context import POOL
from sparse3d.render.rasterise import RenderOptions

CPU = RenderOptions(backend="cpu", threads=2)
BAD_VALUES = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-38, 1e30, -1e30)
FIELDS = st.sampled_from(range(6))


def gradients_of(scene, tensors, options):
    leaves = tuple(t.detach().clone().requires_grad_() for t in tensors)
    out = draw(scene, leaves, options)
    loss = out.alpha.square().sum() + torch.stack([image.sum() for image in images_of(out).values()]).sum()
    used = [leaf for leaf in leaves if leaf.numel()]
    names = [name for name, leaf in zip(NAMES, leaves, strict=False) if leaf.numel()]
    return out, dict(zip(names, torch.autograd.grad(loss, used), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 20),
    seed=st.integers(0, 1000),
    damage=st.lists(st.tuples(FIELDS, st.integers(0, 10**6), st.sampled_from(BAD_VALUES)), max_size=8),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    antialias=st.booleans(),
    extras=st.booleans(),
)
def test_images_and_gradients_are_finite_whatever_the_gaussians(count, seed, damage, dtype, antialias, extras):
    scene = random_scene(count, seed=seed, size=(37, 20)).to(dtype)
    for field, place, value in damage:
        flat = scene.tensors[field].view(-1)
        if len(flat):
            flat[place % len(flat)] = value
    options = RenderOptions(backend="cpu", threads=2, antialias=antialias, median_depth=extras, normals=extras)
    out, gradients = gradients_of(scene, scene.tensors, options)
    # A huge finite colour or feature may overflow in the sum, by its own fault.
    if not any(abs(value) == 1e30 for *_, value in damage):
        for name, image in images_of(out).items():
            assert torch.isfinite(image).all(), name
    assert ((out.alpha >= 0) & (out.alpha <= 1)).all()
    for name, gradient in gradients.items():
        assert not torch.isnan(gradient).any(), name


def test_several_forwards_before_their_backwards():
    scene = random_scene(50, seed=2)
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    poses = [scene.tensors[6], scene.tensors[6] + 0.0]
    poses[1][:, 0, 3] += 0.1
    alone = [
        torch.autograd.grad(draw(scene, (*leaves[:6], p, leaves[7]), CPU).rgb.square().sum(), leaves[0])[0]
        for p in poses
    ]
    drawn = [draw(scene, (*leaves[:6], p, leaves[7]), CPU).rgb.square().sum() for p in poses]
    with torch.no_grad():
        draw(scene, leaves, CPU)
    for loss, expected in reversed(list(zip(drawn, alone, strict=True))):
        torch.testing.assert_close(torch.autograd.grad(loss, leaves[0])[0], expected, rtol=0, atol=0)


def test_backward_may_run_twice():
    scene = random_scene(30)
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    loss = draw(scene, leaves, CPU).rgb.square().sum()
    first = torch.autograd.grad(loss, leaves[0], retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(loss, leaves[0])[0])


def test_contexts_return_to_the_pool_when_the_graph_is_dropped():
    scene = random_scene(30)
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    gc.collect()
    POOL.release_memory()
    for _ in range(3):
        out = draw(scene, leaves, CPU)
        out.rgb.sum().backward()
        del out
        draw(scene, leaves, CPU)  # forward alone
        with torch.no_grad():
            draw(scene, leaves, CPU)
    gc.collect()
    assert len(POOL._idle) <= 2 * len(scene.tensors[6])
    assert POOL.idle_bytes() > 0


def test_wrong_arguments_are_named():
    scene = random_scene(3)
    with pytest.raises(ValueError, match="one size"):
        cameras = Cameras.build(scene.tensors[6], scene.tensors[7], [(10, 10), (11, 10)])
        _rasterise(scene, cameras)
    with pytest.raises(ValueError, match="distortion"):
        distorted = torch.full((2, 4), 0.1, dtype=torch.float64)
        _rasterise(scene, Cameras.build(scene.tensors[6], scene.tensors[7], [(10, 10)] * 2, distortion=distorted))
    with pytest.raises(ValueError, match="not finite"):
        _rasterise(scene, Cameras.build(scene.tensors[6] * math.nan, scene.tensors[7], [(10, 10)] * 2))
    with pytest.raises(ValueError, match="threads"):
        RenderOptions(threads=0)


def _rasterise(scene, cameras):
    from sparse3d.core.gaussians import Gaussians
    from sparse3d.render.rasterise import rasterise

    return rasterise(Gaussians(*scene.tensors[:5]), cameras, options=CPU)
