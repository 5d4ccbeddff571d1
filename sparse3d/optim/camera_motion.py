"""The cameras' motion and its gradient in closed form: autograd over the dozens of small tensors of `se3.se3_exp` takes
longer than the optimiser's step over all Gaussians (compared in `tests/optim/test_camera_motion.py`)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SERIES_END = 1e-18
"""A term of a power series that is smaller than this share of the sum changes no digit of it."""


@dataclass(frozen=True)
class MotionFrame:
    """What cameras move from and by how much their parameters move them; float64.

    Attributes:
        cam_from_world: where each view starts.
        K: its intrinsics there.
        translation_unit: scene units of a translation of 1; 0 where the pose is fixed.
        rotation_unit: 1, or 0 where the pose is fixed.
        focal_unit: 1, or 0 where the focal length is fixed; one a group.
        group_of_view: which logarithmic focal length is a view's.
    """

    cam_from_world: np.ndarray
    K: np.ndarray
    translation_unit: np.ndarray
    rotation_unit: np.ndarray
    focal_unit: np.ndarray
    group_of_view: tuple[int, ...]


def move_cameras(
    translation: Float[Tensor, "all_views 3"],
    rotation: Float[Tensor, "all_views 3"],
    log_focal: Float[Tensor, " group"],
    frame: MotionFrame,
    views: tuple[int, ...],
) -> tuple[Float[Tensor, "view 4 4"], Float[Tensor, "view 3 3"]]:
    """`exp(translation, rotation) @ start` and K with both focal lengths times `exp(log_focal)`, of some views.

    Gradients flow to the first three: translations in units of the frame, rotation vectors in radians.
    """
    return _MoveCameras.apply(translation, rotation, log_focal, frame, views)


class _MoveCameras(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, translation: Tensor, rotation: Tensor, log_focal: Tensor, frame: MotionFrame, views: tuple[int, ...]
    ) -> Any:
        at = list(views)
        t = translation.detach().numpy()[at] * frame.translation_unit[at, None]
        xi = np.concatenate([t, rotation.detach().numpy()[at] * frame.rotation_unit[at, None]], 1)
        moved = np.stack([_series(_se3_hat(x), frame.cam_from_world[v]) for x, v in zip(xi, views, strict=True)])
        groups = [frame.group_of_view[v] for v in views]
        K = frame.K[at]
        K[:, [0, 1], [0, 1]] *= np.exp(log_focal.detach().numpy()[groups] * frame.focal_unit[groups])[:, None]
        ctx.frame, ctx.views, ctx.groups, ctx.xi, ctx.moved, ctx.K = frame, at, groups, xi, moved, K
        ctx.shapes = translation.shape, log_focal.shape
        return torch.from_numpy(moved), torch.from_numpy(K)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_moved: Tensor, g_scaled: Tensor) -> Any:
        # d(exp(xi) start) = hat(J dxi) exp(xi) start with the left Jacobian J (Barfoot 2017, eq. 7.80): first the gradient to
        # a motion of the moved camera, then J transposed.
        (of_poses, of_focals), frame = ctx.shapes, ctx.frame
        g_translation, g_rotation, g_focal = np.zeros(of_poses), np.zeros(of_poses), np.zeros(of_focals)
        g_poses, g_K = g_moved.numpy(), g_scaled.numpy()
        for i, (view, group) in enumerate(zip(ctx.views, ctx.groups, strict=True)):
            g, moved = g_poses[i, :3], ctx.moved[i, :3]
            products = (g @ moved.T).tolist()  # their skew part is the sum of the columns' cross products
            turning = [products[a][b] - products[b][a] for a, b in ((2, 1), (0, 2), (1, 0))]
            tangent = _series(_adjoint(ctx.xi[i]).T, np.array([*g[:, 3], *turning]), first=2)
            g_translation[view] += tangent[:3] * frame.translation_unit[view]
            g_rotation[view] += tangent[3:] * frame.rotation_unit[view]
            focal = g_K[i, 0, 0] * ctx.K[i, 0, 0] + g_K[i, 1, 1] * ctx.K[i, 1, 1]
            g_focal[group] += focal * frame.focal_unit[group]
        return *(torch.from_numpy(g) for g in (g_translation, g_rotation, g_focal)), None, None


def _hat(v: np.ndarray) -> np.ndarray:
    x, y, z = v.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _se3_hat(xi: np.ndarray) -> np.ndarray:
    """The 4x4 matrix whose exponential is the motion."""
    matrix = np.zeros((4, 4))
    matrix[:3, :3], matrix[:3, 3] = _hat(xi[3:]), xi[:3]
    return matrix


def _adjoint(xi: np.ndarray) -> np.ndarray:
    """ad(xi); the left Jacobian is the sum of ad(xi)^n / (n + 1)! (same source, eq. 7.76)."""
    adjoint = np.zeros((6, 6))
    adjoint[:3, :3] = adjoint[3:, 3:] = _hat(xi[3:])
    adjoint[:3, 3:] = _hat(xi[:3])
    return adjoint


def _series(matrix: np.ndarray, start: np.ndarray, first: int = 1) -> np.ndarray:
    """Sum of matrix^n start / (first (first + 1) ... (first + n - 1)): where `first` is 1 the exponential times `start`."""
    term, total, n = start, start.copy(), first
    while np.vdot(term, term) > SERIES_END**2 * np.vdot(total, total):
        term = matrix @ term / n
        total += term
        n += 1
    return total
