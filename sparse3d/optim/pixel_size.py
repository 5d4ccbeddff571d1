"""The size of a pixel at a point of the scene, the unit in which Gaussians move and are measured."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras


def pixel_size_at(means: Float[Tensor, "n 3"], cameras: Cameras) -> Float[Tensor, " n"]:
    """Size in scene units of one pixel at each point, in the view that sees it closest (views behind it do not count)."""
    depth = se3.transform_points(cameras.cam_from_world.float(), means[None].expand(len(cameras), -1, -1))[..., 2]
    size = depth / cameras.K[:, 0, 0].float()[:, None]
    size = torch.where(depth > 0, size, torch.full_like(size, torch.inf)).amin(0)
    finite = size[size.isfinite()]
    fallback = float(finite.median()) if len(finite) else 1.0
    return torch.where(size.isfinite(), size, torch.full_like(size, fallback))
