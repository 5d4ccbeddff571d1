"""Which way is up in a scene, as far as its photos tell."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras

LEAN_SUPPRESSION = 0.01
"""How strongly photos' horizontal axes overrule their mean upward direction; any small number does, 0 is singular."""


def scene_up(cameras: Cameras) -> Float[ndarray, "3"]:
    """The direction that is up in the scene, as far as its photos tell: a unit vector in the world.

    People hold cameras level but tilt them, so a photo's x axis is nearly horizontal while its y axis need not be
    vertical: of all directions near the photos' mean upward one, take that which is most perpendicular to their x axes.
    Without cameras it is -y, the direction that is up for a world whose axes are those of its first photo.
    """
    world_from_cam = cameras.world_from_cam.to(torch.float64)
    world_from_cam = world_from_cam[world_from_cam.isfinite().all(-1).all(-1)]
    mean_up = -world_from_cam[:, :3, 1].sum(0)
    if len(world_from_cam) == 0 or mean_up.norm() < 0.1 * len(world_from_cam):
        return np.array([0.0, -1.0, 0.0])
    right = world_from_cam[:, :3, 0]
    spread = right.T @ right / len(right) + LEAN_SUPPRESSION * torch.eye(3, dtype=torch.float64)
    up = torch.linalg.solve(spread, mean_up)
    return (up / up.norm()).numpy()
