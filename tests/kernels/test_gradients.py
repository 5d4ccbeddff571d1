"""The kernels' own float64 instance against finite differences."""

import pytest
import torch
from splat_scenes import random_scene, with_masks, with_uncertainty
from test_reference import scalar_of

from sparse3d.render.rasterise import RenderOptions


@pytest.mark.parametrize(("degree", "antialias"), [(0, False), (1, True), (2, False), (3, True)])
def test_gradients_match_finite_differences(degree, antialias):
    scene = random_scene(12, degree=degree, size=(40, 35), views=2, seed=degree, sigma=(0.03, 0.3), spread=1.3)
    options = RenderOptions(backend="cpu", background=(0.2, 0.1, 0.3), antialias=antialias, threads=2)
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    assert torch.autograd.gradcheck(scalar_of(scene, options), leaves, eps=1e-6, atol=1e-5)


def test_gradients_outside_the_frustum_margin_match_finite_differences():
    """Beyond the margin the Jacobian is held; the principal point then moves its limit."""
    scene = random_scene(25, size=(40, 35), views=1, seed=3, sigma=(0.3, 0.8), spread=3.0)
    options = RenderOptions(backend="cpu", threads=1)
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    assert torch.autograd.gradcheck(scalar_of(scene, options), leaves, eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_the_extra_channels_match_finite_differences(masked):
    scene = with_uncertainty(random_scene(12, size=(40, 35), views=2, seed=6, sigma=(0.03, 0.3), spread=1.3))
    scene = with_masks(scene) if masked else scene
    options = RenderOptions(backend="cpu", median_depth=True, normals=True, threads=2)
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    assert torch.autograd.gradcheck(scalar_of(scene, options), leaves, eps=1e-6, atol=1e-5)
