"""A view from a little to the side, warped back."""

from dataclasses import replace

import pytest
import torch
from optim_steps import rendered, step_of

from sparse3d.optim.terms.binocular import Binocular, BinocularConfig, beside, binocular_loss
from sparse3d.render.rasterise import RenderOutput, rasterise


def test_the_camera_moves_sideways(scene):
    camera = scene[1].cameras.select([1])
    moved = beside(camera, 0.3)
    right = camera.cam_from_world[0, 0, :3]
    assert torch.allclose(moved.centres[0] - camera.centres[0], 0.3 * right)


def test_the_gradient_is_right(scene):
    _, prior = scene
    random = torch.Generator().manual_seed(3)
    camera = prior.cameras.select([0]).resized([(8, 6)])
    side = beside(camera, 0.1)
    photo = torch.rand(6, 8, 3, generator=random, dtype=torch.float64)
    depth = (3 + 0.05 * torch.rand(1, 6, 8, generator=random, dtype=torch.float64)).requires_grad_()
    colour = torch.rand(1, 6, 8, 3, generator=random, dtype=torch.float64).requires_grad_()
    ones = torch.ones(1, 6, 8, dtype=torch.float64)

    def loss(depth, colour):
        shown = RenderOutput(rgb=colour, alpha=ones, depth=3.02 * ones)
        return binocular_loss(RenderOutput(photo[None], ones, depth), shown, camera, side, photo, ones[0])

    assert float(loss(depth, colour).detach()) > 0
    assert torch.autograd.gradcheck(loss, (depth, colour))


def test_true_depth_warps_best(scene):
    params, prior = scene
    step = step_of(params, prior)
    camera = step.camera()
    side = beside(camera, 0.2)
    output, shown = rendered(step), rasterise(step.gaussians, side)

    def at(factor: float) -> torch.Tensor:
        warped = replace(output, depth=output.depth * factor)
        return binocular_loss(warped, shown, camera, side, prior.images[0], prior.masks[0])

    assert float(at(1.0)) < 0.6 * min(float(at(0.985)), float(at(1.015)))


def test_what_the_side_view_hides_does_not_count(scene):
    params, prior = scene
    step = step_of(params, prior)
    camera = step.camera()
    side = beside(camera, 0.2)
    output = rendered(step)
    nearer = RenderOutput(torch.zeros_like(output.rgb), output.alpha, torch.full_like(output.depth, 1.0))
    assert float(binocular_loss(output, nearer, camera, side, prior.images[0], prior.masks[0])) == 0


def test_it_is_used_every_so_often_and_repeats_itself(scene):
    params, prior = scene
    term = Binocular(BinocularConfig(weight=1.0, every=2))
    step = step_of(params, prior)
    output = rendered(step)
    assert term.loss(replace(step, iteration=1), output) is None
    first = term.loss(replace(step, generator=torch.Generator().manual_seed(5)), output)
    second = term.loss(replace(step, generator=torch.Generator().manual_seed(5)), output)
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    first.backward()
    assert step.gaussians.means.grad is not None
    assert bool(step.gaussians.means.grad.isfinite().all())


def test_settings_out_of_range_are_refused():
    for wrong in ({"weight": -1.0}, {"every": 0}, {"baseline": 0.0}):
        with pytest.raises(ValueError, match="binocular"):
            BinocularConfig(**wrong)
