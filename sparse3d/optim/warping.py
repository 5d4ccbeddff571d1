"""Where the pixels of one view fall in another, differentiable in depth and cameras: what terms over several views share."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, pixel_grid

MIN_CONFIDENCE = 0.25
"""Less confident depth was filled in rather than seen."""
MIN_DEPTH = 1e-6
"""Nearer points have no picture; keeps divisions finite."""


@dataclass(frozen=True)
class Landing:
    """Where the pixels of one view fall in another.

    Attributes:
        pixels: (x, y) in pixels of the other view.
        depth: z-depth there, in scene units.
        inside: in front of the other camera, on its image, and of a known depth here.
    """

    pixels: Float[Tensor, "h w 2"]
    depth: Float[Tensor, "h w"]
    inside: Bool[Tensor, "h w"]


def reproject(depth: Float[Tensor, "h w"], source: Cameras, target: Cameras) -> Landing:
    """Take every pixel of a view into another one.

    Args:
        depth: z-depth in the source; non-positive means unknown.
        source, target: one pinhole view each; gradients flow to both.
    """
    height, width = depth.shape
    K = target.K[0].to(depth.dtype)
    target_from_source = (target.cam_from_world[0] @ se3.invert(source.cam_from_world[0])).to(depth.dtype)
    pixels = pixel_grid(width, height, dtype=depth.dtype).to(depth.device)
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1)
    rays = homogeneous @ (K @ target_from_source[:3, :3] @ torch.linalg.inv(source.K[0].to(depth.dtype))).T
    known = depth > 0
    there = rays * torch.where(known, depth, torch.ones_like(depth))[..., None] + K @ target_from_source[:3, 3]
    third = there[..., 2]
    landed = there[..., :2] / third.clamp(min=MIN_DEPTH)[..., None]
    (x, y), (wide, high) = landed.unbind(-1), target.sizes[0]
    inside = known & (third > MIN_DEPTH) & (x > 0) & (x < wide) & (y > 0) & (y < high)
    return Landing(landed, third, inside)


def sample(
    image: Float[Tensor, "h2 w2 c"], pixels: Float[Tensor, "h w 2"], *, nearest: bool = False
) -> Float[Tensor, "h w c"]:
    """An image's values at (x, y) pixel coordinates, bilinear or of the nearest pixel; beyond the border as at it."""
    height, width = image.shape[:2]
    size = torch.tensor([width, height], dtype=pixels.dtype, device=pixels.device)
    mode = "nearest" if nearest else "bilinear"
    grid = (2 * pixels / size - 1)[None]
    found = torch.nn.functional.grid_sample(
        image.permute(2, 0, 1)[None], grid, mode=mode, padding_mode="border", align_corners=False
    )
    return found[0].permute(1, 2, 0)


def same_surface(landing: Landing, depth: Float[Tensor, "h2 w2"], tolerance: float) -> Bool[Tensor, "h w"]:
    """Where the other view's own depth says that it sees the same point.

    Args:
        landing: where the pixels fall in the other view.
        depth: of the other view; non-positive means unknown.
        tolerance: largest relative difference of depth.
    """
    found = sample(depth.detach()[..., None], landing.pixels.detach(), nearest=True)[..., 0]
    close = (found - landing.depth.detach()).abs() < tolerance * found
    return landing.inside & (found > 0) & close


def nearest_views(cameras: Cameras, view: int, count: int) -> list[int]:
    """The views whose centres are nearest to one view's, nearest first."""
    distance = (cameras.centres - cameras.centres[view]).norm(dim=1)
    return [i for i in distance.argsort(stable=True).tolist() if i != view][:count]
