"""The cameras' motion in closed form against autograd over the exponential map."""

import pytest
import torch

from sparse3d.core import se3
from sparse3d.optim.camera_motion import MotionFrame, move_cameras


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3, 0.3, 3.0])
def test_values_and_gradients_equal_autograds(generator, size):
    def rand(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    translation, rotation = (size * rand(3, 3)).requires_grad_(), (size * rand(3, 3)).requires_grad_()
    log_focal = (0.1 * rand(2)).requires_grad_()
    start = se3.se3_exp(rand(3, 6))
    K = torch.tensor([[300.0, 0, 160], [0, 310, 120], [0, 0, 1]]).double().repeat(3, 1, 1)
    translation_unit, rotation_unit = torch.tensor([0, 2.5, 2.5]).double(), torch.tensor([0, 1, 1]).double()
    groups, views = [0, 1, 0], (2, 1)
    frame = MotionFrame(
        start.numpy(),
        K.numpy(),
        translation_unit.numpy(),
        rotation_unit.numpy(),
        torch.ones(2).double().numpy(),
        (0, 1, 0),
    )
    moved = move_cameras(translation, rotation, log_focal, frame, views)
    at = list(views)
    tangent = torch.cat([translation * translation_unit[:, None], rotation * rotation_unit[:, None]], 1)[at]
    focal = torch.diag_embed(torch.tensor([1.0, 1, 0]).double().expand(2, 3))
    scale = 1 + (log_focal[groups].exp() - 1)[at, None, None] * focal
    expected = se3.se3_exp(tangent) @ start[at], K[at] * scale
    upstream = rand(2, 4, 4), rand(2, 3, 3)
    leaves = (translation, rotation, log_focal)
    found = torch.autograd.grad(moved, leaves, upstream)
    wanted = torch.autograd.grad(expected, leaves, upstream)
    for a, b in zip((*moved, *found), (*expected, *wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
