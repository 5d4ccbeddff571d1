"""The reference rasteriser: against finite differences, and against what can be said without it."""

import dataclasses
import math

import pytest
import torch
from splat_scenes import Scene, draw, images_of, random_scene, weighted_sum, with_masks, with_uncertainty

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import Gaussians, colour_to_sh0
from sparse3d.render.rasterise import RenderOptions, rasterise
from sparse3d.render.spherical_harmonics import sh_basis

REFERENCE = RenderOptions(backend="reference", background=(0.2, 0.1, 0.3))


def scalar_of(scene: Scene, options: RenderOptions):
    """A scalar function of all of a scene's tensors."""
    return lambda *tensors: weighted_sum(images_of(draw(scene, tensors, options)))


GRADIENT_CASES = {
    "degree 0": (0, {}),
    "degree 3, antialias": (3, {"antialias": True}),
    "median depth": (0, {"median_depth": True}),
    "normals": (0, {"normals": True, "depth": False}),
    "uncertainty": (0, {}),
    "masks": (0, {"median_depth": True, "normals": True}),
}


@pytest.mark.parametrize("case", GRADIENT_CASES)
def test_gradients_match_finite_differences(case):
    degree, asked = GRADIENT_CASES[case]
    scene = random_scene(3, degree=degree, size=(12, 9), views=1, seed=degree, sigma=(0.1, 0.3), spread=0.8)
    scene = with_uncertainty(scene) if case == "uncertainty" else scene
    scene = with_masks(scene) if case == "masks" else scene
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    # fast_mode: along random directions, for a function of tens of milliseconds and two hundred inputs
    assert torch.autograd.gradcheck(
        scalar_of(scene, dataclasses.replace(REFERENCE, **asked)), leaves, eps=1e-6, atol=1e-5, fast_mode=degree > 0
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
        pixel = rasterise(stacked(*order), cameras, options=REFERENCE).rgb[0, 7, 12]
        assert pixel[0] > 0.99 and pixel[1] < 0.01


def stacked(*parts: Gaussians) -> Gaussians:
    return Gaussians(*(torch.cat([getattr(g, f) for g in parts]) for f in parts[0].__dataclass_fields__))


def test_the_median_depth_is_that_of_the_gaussian_that_takes_more_than_half():
    front, cameras = one_gaussian(0.4, 2.0)
    middle, _ = one_gaussian(0.4, 3.0)
    back, _ = one_gaussian(0.9, 6.0)
    z = torch.cat([g.means for g in (back, front, middle)])[:, 2].requires_grad_()
    both = stacked(back, front, middle)
    both = dataclasses.replace(both, means=torch.stack([0 * z, 0 * z, z], 1))
    options = dataclasses.replace(REFERENCE, median_depth=True)
    median = rasterise(both, cameras, options=options).median_depth
    assert median[0, 7, 12] == 3.0  # 0.6 is left behind the first, 0.36 behind the second
    assert torch.autograd.grad(median[0, 7, 12], z)[0].tolist() == [0, 0, 1]
    assert rasterise(front, cameras, options=options).median_depth.abs().max() == 0


def test_the_normal_is_the_shortest_axis_turned_towards_the_camera():
    gaussian, cameras = one_gaussian(0.8)
    half = math.sqrt(0.5)
    for scales, quat, expected in [
        ((0.2, 0.2, 0.1), (1, 0, 0, 0), (0, 0, -1)),  # z points away from the camera
        ((0.2, 0.2, 0.1), (0, 1, 0, 0), (0, 0, -1)),  # turned about x by 180 degrees: towards it already
        ((0.1, 0.2, 0.2), (half, 0, -half, 0), (0, 0, -1)),  # x turned onto z
        ((0.1, 0.1, 0.2), (half, 0, half, 0), (0, 0, -1)),  # the first of equal ones
    ]:
        turned = dataclasses.replace(
            gaussian,
            scales=torch.tensor([scales], dtype=torch.float64),
            quats_wxyz=3 * torch.tensor([quat], dtype=torch.float64),
        )
        out = rasterise(turned, cameras, options=dataclasses.replace(REFERENCE, normals=True))
        normal = out.normals[0, 7, 12] / out.alpha[0, 7, 12]
        torch.testing.assert_close(normal, torch.tensor(expected, dtype=torch.float64), atol=1e-12, rtol=0)


def test_the_uncertainty_is_a_mean_and_too_little_of_it_is_none():
    near, cameras = one_gaussian(0.5, 2.0)
    far, _ = one_gaussian(0.5, 6.0)
    both = stacked(near, far)
    out = rasterise(both, cameras, uncertainty=torch.tensor([1.0, 4.0], dtype=torch.float64), options=REFERENCE)
    assert out.uncertainty[0, 7, 12].item() == pytest.approx((0.5 * 1 + 0.25 * 4) / 0.75)
    assert out.uncertainty[0, 0, 0] == 0 and out.features is None


def test_too_many_channels_and_wrong_masks_are_named():
    gaussian, cameras = one_gaussian()
    with pytest.raises(ValueError, match="33 extra channels"):
        rasterise(gaussian, cameras, features=torch.zeros(1, 32).double(), uncertainty=torch.ones(1).double())
    with pytest.raises(ValueError, match=r"masks of \(1, 14, 25\), expected \(1, 15, 25\)"):
        rasterise(gaussian, cameras, masks=torch.ones(1, 14, 25, dtype=torch.bool))


def test_spherical_harmonics_are_orthonormal():
    directions = torch.nn.functional.normalize(
        torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=1
    )
    basis = sh_basis(directions, 16)
    gram = basis.T @ basis * (4 * math.pi / len(directions))
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), atol=0.02, rtol=0)
