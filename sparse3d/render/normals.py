"""The direction that a flat Gaussian faces."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.se3 import quat_wxyz_to_rotation


def facing_normals(
    quats_wxyz: Float[Tensor, "n 4"], scales: Float[Tensor, "n 3"], offsets: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3"]:
    """Unit axes of the smallest scale (the first of equal ones) in world space, turned towards the camera.

    The gradient goes to the quaternions alone: which axis and which side are constants.

    Args:
        quats_wxyz: rotations of the principal axes, of any length but zero.
        scales: standard deviations along them.
        offsets: vectors from the camera's centre to the Gaussians, in world space.
    """
    rotations = quat_wxyz_to_rotation(quats_wxyz)
    shortest = scales.argmin(1)[:, None, None].expand(-1, 3, 1)
    normals = rotations.gather(2, shortest)[:, :, 0]
    away = (normals * offsets).sum(1, keepdim=True) > 0
    return torch.where(away, -normals, normals)
