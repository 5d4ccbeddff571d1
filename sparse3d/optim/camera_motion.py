"""One camera's motion and its gradient in closed form: autograd over the dozens of small tensors of `se3.se3_exp` takes
longer than the optimiser's step over all Gaussians (compared in `tests/optim/test_camera_motion.py`)."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SERIES_END = 1e-18
"""A term of a power series that is smaller than this share of the sum changes no digit of it."""


def move_camera(
    tangent: Float[Tensor, "6"], log_focal: Float[Tensor, ""], start: Float[Tensor, "4 4"], K: Float[Tensor, "3 3"]
) -> tuple[Float[Tensor, "4 4"], Float[Tensor, "3 3"]]:
    """`exp(tangent) @ start` and K with both focal lengths times `exp(log_focal)`.

    Gradients flow to the tangent (translation, then rotation vector in radians) and the logarithm of the focal length.
    """
    return _MoveCamera.apply(tangent, log_focal, start, K)


class _MoveCamera(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tangent: Tensor, log_focal: Tensor, start: Tensor, K: Tensor) -> Any:
        xi = tangent.detach().numpy()
        moved = _exponential(_se3_hat(xi)) @ start.numpy()
        scaled = K.numpy().copy()
        scaled[[0, 1], [0, 1]] *= np.exp(float(log_focal.detach()))
        ctx.xi, ctx.moved, ctx.focal = xi.copy(), moved, scaled[[0, 1], [0, 1]]
        return torch.from_numpy(moved), torch.from_numpy(scaled)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_moved: Tensor, g_scaled: Tensor) -> Any:
        # d(exp(xi) start) = hat(J dxi) exp(xi) start with the left Jacobian J (Barfoot 2017, eq. 7.80): first the gradient to
        # a motion of the moved camera, then J transposed.
        g, moved = g_moved.numpy()[:3], ctx.moved[:3]
        turning = np.cross(moved.T, g.T).sum(0)
        here = np.concatenate([g[:, 3], turning])
        g_tangent = _left_jacobian(ctx.xi).T @ here
        g_focal = g_scaled.numpy()[[0, 1], [0, 1]] @ ctx.focal
        return torch.from_numpy(g_tangent), torch.as_tensor(g_focal), None, None


def _hat(v: np.ndarray) -> np.ndarray:
    x, y, z = v.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _se3_hat(xi: np.ndarray) -> np.ndarray:
    """The 4x4 matrix whose exponential is the motion."""
    matrix = np.zeros((4, 4))
    matrix[:3, :3], matrix[:3, 3] = _hat(xi[3:]), xi[:3]
    return matrix


def _left_jacobian(xi: np.ndarray) -> np.ndarray:
    """Sum of ad(xi)^n / (n + 1)! (same source, eq. 7.76)."""
    adjoint = np.zeros((6, 6))
    adjoint[:3, :3] = adjoint[3:, 3:] = _hat(xi[3:])
    adjoint[:3, 3:] = _hat(xi[:3])
    return _exponential(adjoint, first=2)


def _exponential(matrix: np.ndarray, first: int = 1) -> np.ndarray:
    """Sum of matrix^n / (first (first + 1) ... (first + n - 1)): the exponential where `first` is 1."""
    term = np.eye(len(matrix))
    total, n = term.copy(), first
    while np.abs(term).max() > SERIES_END * np.abs(total).max():
        term = term @ matrix / n
        total += term
        n += 1
    return total
