"""Bad Gaussians, no Gaussians, one Gaussian; bad arguments; what one call leaves for the next."""

import gc
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splat_scenes import NAMES, draw, random_scene

from sparse3d.core.cameras import Cameras
from sparse3d.kernels.context import POOL
from sparse3d.render.rasterise import RenderOptions

CPU = RenderOptions(backend="cpu", threads=2)
BAD_VALUES = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-38, 1e30, -1e30)
FIELDS = st.sampled_from(range(6))


def gradients_of(scene, tensors, options=CPU):
    leaves = tuple(t.detach().clone().requires_grad_() for t in tensors)
    out = draw(scene, leaves, options)
    loss = out.rgb.sum() + out.alpha.square().sum() + out.depth.sum()
    if out.features is not None:
        loss = loss + out.features.sum()
    used = [leaf for leaf in leaves if leaf.numel()]
    names = [name for name, leaf in zip(NAMES, leaves, strict=True) if leaf.numel()]
    return out, dict(zip(names, torch.autograd.grad(loss, used), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 20),
    seed=st.integers(0, 1000),
    damage=st.lists(st.tuples(FIELDS, st.integers(0, 10**6), st.sampled_from(BAD_VALUES)), max_size=8),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    antialias=st.booleans(),
)
def test_images_and_gradients_are_finite_whatever_the_gaussians(count, seed, damage, dtype, antialias):
    scene = random_scene(count, seed=seed, size=(37, 20)).to(dtype)
    for field, place, value in damage:
        flat = scene.tensors[field].view(-1)
        if len(flat):
            flat[place % len(flat)] = value
    out, gradients = gradients_of(scene, scene.tensors, RenderOptions(backend="cpu", threads=2, antialias=antialias))
    # A huge finite colour or feature may overflow in the sum, by its own fault.
    if not any(abs(value) == 1e30 for *_, value in damage):
        for image in (out.rgb, out.alpha, out.depth):
            assert torch.isfinite(image).all()
    assert ((out.alpha >= 0) & (out.alpha <= 1)).all()
    for name, gradient in gradients.items():
        assert not torch.isnan(gradient).any(), name


@pytest.mark.parametrize(
    ("field", "value"),
    [(0, math.nan), (0, math.inf), (1, 0.0), (1, math.nan), (2, math.nan), (2, math.inf), (3, math.nan), (3, 0.0),
     (4, math.nan), (5, math.nan)],
)  # fmt: skip
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_bad_gaussian_is_left_out_and_the_rest_is_untouched(field, value, backend):
    scene = random_scene(30, seed=1)
    options = RenderOptions(backend=backend)
    tensors = list(scene.tensors)
    rest = [t.clone() if i > 5 else t[1:].clone() for i, t in enumerate(tensors)]
    tensors[field] = tensors[field].clone()
    tensors[field][0] = value
    with_bad, gradients = gradients_of(scene, tensors, options)
    without, _ = gradients_of(scene, rest, options)
    torch.testing.assert_close(with_bad.rgb, without.rgb, rtol=0, atol=1e-12)
    for name in NAMES[:6]:
        assert (gradients[name][0] == 0).all(), name
        assert torch.isfinite(gradients[name]).all(), name


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("count", [0, 1])
def test_none_and_one(count, backend):
    scene = random_scene(count)
    out, gradients = gradients_of(scene, scene.tensors, RenderOptions(backend=backend, background=(0.5, 0.25, 0.125)))
    if count == 0:
        torch.testing.assert_close(out.rgb, torch.tensor([0.5, 0.25, 0.125], dtype=torch.float64).expand_as(out.rgb))
    assert gradients["cam_from_world"].isfinite().all()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_behind_the_camera_nothing_is_drawn(backend):
    scene = random_scene(20)
    tensors = list(scene.tensors)
    tensors[0] = tensors[0] * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    out, gradients = gradients_of(scene, tensors, RenderOptions(backend=backend))
    assert (out.alpha == 0).all()
    assert all((g == 0).all() for g in gradients.values())


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
