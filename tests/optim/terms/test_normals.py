"""Normals of Gaussians, of rendered depth and of the prior."""

import dataclasses

import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix, pixel_grid
from sparse3d.optim.terms.normals import Normals, NormalsConfig, depth_normals
from sparse3d.render.rasterise import RenderOptions

DRAWN = NormalsConfig(weight=1.0, reduction=2)
PRIOR = NormalsConfig(prior_weight=1.0, reduction=2)


def turned_camera():
    pose = se3.se3_exp(torch.tensor([[0.3, -0.2, 0.1, 0.2, -0.3, 0.1]], dtype=torch.float64))
    return Cameras.build(pose, intrinsics_matrix(60.0, 60.0, 32.0, 24.0)[None], [(64, 48)])


def plane_depth(camera, normal, distance, reduction):
    """Depth of the world's plane normal . x = distance at the centres of squares of pixels."""
    width, height = (n // reduction for n in camera.sizes[0])
    pixels = pixel_grid(width, height) * reduction
    rays = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1) @ torch.linalg.inv(camera.K[0]).T
    rotation, shift = camera.cam_from_world[0, :3, :3], camera.cam_from_world[0, :3, 3]
    seen = rotation @ normal
    return (distance + seen @ shift) / (rays @ seen)


@pytest.mark.parametrize("reduction", [1, 2])
def test_a_plane_has_its_normal(reduction):
    camera = turned_camera()
    normal = torch.nn.functional.normalize(torch.tensor([0.2, 0.3, -1.0], dtype=torch.float64), dim=0)
    found, smooth = depth_normals(plane_depth(camera, normal, -4.0, reduction), camera, reduction)
    inside = found[1:-1, 1:-1]
    assert bool((smooth[1:-1, 1:-1] == 1).all())
    assert torch.allclose(inside, normal.expand_as(inside), atol=1e-9)
    assert float(found[0].abs().max()) == 0 and float(smooth[:, -1].max()) == 0


def test_across_a_step_there_is_no_normal():
    depth = torch.full((48, 64), 2.0, dtype=torch.float64)
    depth[:, 32:] = 4.0
    depth[10, 10] = 0
    found, smooth = depth_normals(depth, turned_camera(), 1)
    assert float(smooth[5:-5, 31:33].max()) == 0
    assert float(smooth[10, 9]) == 0 and float(smooth[5, 5]) == 1
    assert float(found[10, 9].abs().max()) == 0


def test_the_gradient_is_right():
    generator = torch.Generator().manual_seed(0)
    camera = Cameras.build(torch.eye(4).double()[None], intrinsics_matrix(5.0, 5.0, 3.0, 2.5)[None], [(6, 5)])
    depth = (3 + 0.1 * torch.rand(5, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: depth_normals(d, camera, 1)[0], depth)
    depth.data[1, 1] = 0
    depth_normals(depth, camera, 1)[0].sum().backward()
    assert depth.grad is not None and bool(depth.grad.isfinite().all())


def turned(params, angle):
    """The Gaussians made flat, all turned about the x axis by an angle."""
    half = torch.tensor(angle / 2)
    quats = torch.stack([half.cos(), half.sin(), half * 0, half * 0]).expand(len(params), 4).clone()
    log_scales = params.log_scales.clone()
    log_scales[:, 2] -= 1.5
    return params.replace(quats_wxyz=quats, log_scales=log_scales)


def drawn_loss(term, params, prior):
    step = step_of(params, prior)
    return step, term.loss(step, rendered(step, term.options(step.render)))


def test_gaussians_that_lie_in_the_surface_cost_least(scene):
    params, prior = scene
    term = Normals(DRAWN)
    lying = float(drawn_loss(term, turned(params, 0.0), prior)[1].detach())
    leaning = float(drawn_loss(term, turned(params, 0.7), prior)[1].detach())
    assert lying < 0.1 and leaning > lying + 0.1


def test_descent_turns_gaussians_into_the_surface(scene):
    params, prior = scene
    term = Normals(DRAWN)
    step, loss = drawn_loss(term, turned(params, 0.7), prior)
    before = float(loss.detach())
    for _ in range(20):
        term.loss(step, rendered(step, term.options(step.render))).backward()
        gradient = step.gaussians.quats_wxyz.grad
        assert gradient is not None
        step.gaussians.quats_wxyz.data -= 0.02 * gradient.sign()
        step.gaussians.quats_wxyz.grad = None
    assert float(term.loss(step, rendered(step, term.options(step.render))).detach()) < 0.7 * before


def test_rendered_depth_is_held_to_the_priors_normals_where_it_is_sure(scene):
    params, prior = scene
    flat = params.replace(means=params.means * torch.tensor([1, 1, 0.0]) + torch.tensor([0, 0, 3.0]))
    term = Normals(PRIOR)
    right = float(drawn_loss(term, params, prior)[1].detach())
    step, loss = drawn_loss(term, flat, prior)
    loss.backward()
    assert float(loss.detach()) > 5 * right
    assert step.gaussians.means.grad is not None and float(step.gaussians.means.grad.abs().max()) > 0
    depths = tuple(dataclasses.replace(d, confidence=torch.zeros_like(d.confidence)) for d in prior.depths)
    assert float(drawn_loss(term, flat, dataclasses.replace(prior, depths=depths))[1].detach()) == 0


def test_normals_are_drawn_where_they_are_needed():
    assert Normals(DRAWN).options(RenderOptions()).normals
    assert not Normals(PRIOR).options(RenderOptions()).normals


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="normals"):
        NormalsConfig(reduction=0)
