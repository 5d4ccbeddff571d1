"""A camera's motion in closed form against autograd over the exponential map."""

import pytest
import torch

from sparse3d.core import se3
from sparse3d.optim.camera_motion import move_camera


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3, 0.3, 3.0])
def test_values_and_gradients_equal_autograds(generator, size):
    def rand(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    tangent, log_focal = (size * rand(6)).requires_grad_(), (0.1 * rand(1))[0].requires_grad_()
    start, K = se3.se3_exp(rand(6)), torch.tensor([[300.0, 0, 160], [0, 310, 120], [0, 0, 1]]).double()
    upstream = rand(4, 4), rand(3, 3)
    moved = move_camera(tangent, log_focal, start, K)
    focal = torch.ones(3, 3, dtype=torch.float64)
    focal = focal + (log_focal.exp() - 1) * torch.diag(torch.tensor([1.0, 1, 0]).double())
    expected = se3.se3_exp(tangent) @ start, K * focal
    found = torch.autograd.grad(moved, (tangent, log_focal), upstream)
    wanted = torch.autograd.grad(expected, (tangent, log_focal), upstream)
    for a, b in zip((*moved, *found), (*expected, *wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
