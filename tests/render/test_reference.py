"""The reference rasteriser: against finite differences, and against what can be said without it."""

import math

import pytest
import torch
from splat_scenes import Scene, draw, random_scene

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import Gaussians, colour_to_sh0
from sparse3d.render.rasterise import RenderOptions, rasterise
from sparse3d.render.spherical_harmonics import sh_basis

REFERENCE = RenderOptions(backend="reference", background=(0.2, 0.1, 0.3))


def weighted_sum(scene: Scene, options: RenderOptions):
    """A scalar function of all of a scene's tensors."""
    generator = torch.Generator().manual_seed(5)
    width, height = scene.size
    weights = torch.randn(len(scene.tensors[6]), height, width, 7, generator=generator, dtype=torch.float64)

    def function(*tensors):
        out = draw(scene, tensors, options)
        parts = [out.rgb, out.alpha[..., None], out.depth[..., None], out.features]
        return (torch.cat(parts, -1) * weights).sum()

    return function


@pytest.mark.parametrize(("degree", "antialias"), [(0, False), (3, True)])
def test_gradients_match_finite_differences(degree, antialias):
    scene = random_scene(3, degree=degree, size=(12, 9), views=1, seed=degree, sigma=(0.1, 0.3), spread=0.8)
    options = RenderOptions(backend="reference", background=(0.2, 0.1, 0.3), antialias=antialias)
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    # fast_mode: along random directions, for a function of tens of milliseconds and two hundred inputs
    assert torch.autograd.gradcheck(
        weighted_sum(scene, options), leaves, eps=1e-6, atol=1e-5, fast_mode=len(scene.tensors[4][0]) > 1
    )


def one_gaussian(opacity: float = 0.8, depth: float = 4.0, colour=(0.9, 0.5, 0.1)) -> tuple[Gaussians, Cameras]:
    """A round Gaussian of two pixels at the centre of pixel (12, 7)."""
    k = intrinsics_matrix(50.0, 50.0, 12.5, 7.5)[None]
    cameras = Cameras.build(torch.eye(4, dtype=torch.float64)[None], k, [(25, 15)])
    gaussians = Gaussians(
        torch.tensor([[0.0, 0.0, depth]], dtype=torch.float64),
        torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64),
        torch.full((1, 3), 2.0 * depth / 50.0, dtype=torch.float64),
        torch.tensor([opacity], dtype=torch.float64),
        colour_to_sh0(torch.tensor([colour], dtype=torch.float64)),
    )
    return gaussians, cameras


def test_one_gaussian_has_its_closed_form():
    gaussians, cameras = one_gaussian()
    out = rasterise(gaussians, cameras, options=REFERENCE)
    variance = 2.0**2 + REFERENCE.eps2d
    for x, y in [(12, 7), (13, 7), (12, 9), (15, 5)]:
        alpha = 0.8 * math.exp(-0.5 * ((x - 12) ** 2 + (y - 7) ** 2) / variance)
        assert out.alpha[0, y, x].item() == pytest.approx(alpha, rel=1e-9)
        expected = torch.tensor([0.9, 0.5, 0.1]) * alpha + (1 - alpha) * torch.tensor([0.2, 0.1, 0.3])
        torch.testing.assert_close(out.rgb[0, y, x], expected.double(), rtol=1e-6, atol=1e-7)
        assert out.depth[0, y, x].item() == pytest.approx(4.0)
    assert out.alpha[0, 0, 0] == 0 and out.depth[0, 0, 0] == 0


def test_the_nearer_gaussian_covers_the_farther_one():
    near, cameras = one_gaussian(1.0, 2.0, (1.0, 0.0, 0.0))
    far, _ = one_gaussian(1.0, 6.0, (0.0, 1.0, 0.0))
    for order in ((near, far), (far, near)):
        both = Gaussians(*(torch.cat([getattr(g, f) for g in order]) for f in near.__dataclass_fields__))
        pixel = rasterise(both, cameras, options=REFERENCE).rgb[0, 7, 12]
        assert pixel[0] > 0.99 and pixel[1] < 0.01


def test_spherical_harmonics_are_orthonormal():
    directions = torch.nn.functional.normalize(
        torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=1
    )
    basis = sh_basis(directions, 16)
    gram = basis.T @ basis * (4 * math.pi / len(directions))
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), atol=0.02, rtol=0)
