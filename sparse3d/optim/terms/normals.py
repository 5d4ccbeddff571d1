"""Gaussians are to face as the surface of rendered depth does, and that as the prior's.

2DGS (Huang et al. 2024, eq. 14): every blended Gaussian's normal is held to that of the depth map at the pixel. Where depth
is uncertain its normals are noise, and UNG-GS (2025) weighs them down; here by the prior's confidence. Pi-GS (2026) holds the
normals of rendered depth to those of the prior's depth as well, by the same weights.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras, pixel_grid
from sparse3d.optim.terms.interface import Step, Term
from sparse3d.optim.terms.reduced import prior_depth, reduce_image, rendered_depth
from sparse3d.render.rasterise import RenderOptions, RenderOutput

MAX_SLOPE = 0.1
"""Relative difference of depth between the neighbours of a pixel from which they are two surfaces, which have no normal."""


@dataclass(frozen=True)
class NormalsConfig:
    """Settings of `Normals`.

    Attributes:
        weight: of Gaussians' normals against those of rendered depth; 0 turns it off.
        prior_weight: of the normals of rendered depth against those of the prior's depth; 0 turns it off.
        reduction: side of the squares of pixels over which depth is averaged first: normals multiply its noise.
    """

    weight: float = 0.0
    prior_weight: float = 0.0
    reduction: int = 4

    def __post_init__(self) -> None:
        if min(self.weight, self.prior_weight) < 0 or self.reduction < 1:
            raise ValueError("normals: weights must not be negative, and reduction must be at least 1")

    @property
    def on(self) -> bool:
        return max(self.weight, self.prior_weight) > 0


class Normals(Term):
    """Consistency of drawn normals, rendered depth and the prior's depth."""

    def __init__(self, config: NormalsConfig) -> None:
        self.config = config

    def options(self, options: RenderOptions) -> RenderOptions:
        """With normals, where they are compared."""
        return replace(options, normals=True) if self.config.weight > 0 else options

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""]:
        """1 - cosine, averaged by the prior's confidence."""
        c, camera = self.config, step.camera()
        depth, covered = rendered_depth(output, c.reduction)
        prior, confidence = prior_depth(step, c.reduction)
        found, smooth = depth_normals(depth * (covered > 0.5), camera, c.reduction)
        sure = (confidence * smooth)[1:-1, 1:-1]
        loss = depth.new_zeros(())
        if c.weight > 0:
            assert output.normals is not None
            drawn = reduce_image(output.normals[0], c.reduction)[1:-1, 1:-1]
            # By the covered share, as a constant: else turning transparent would be a way out.
            alpha = reduce_image(output.alpha[0].detach()[..., None], c.reduction)[1:-1, 1:-1, 0]
            loss = loss + c.weight * _mean(alpha - (drawn * found[1:-1, 1:-1]).sum(-1), sure)
        if c.prior_weight > 0:
            known, plain = depth_normals(prior, camera, c.reduction)
            cosine = (found * known).sum(-1)[1:-1, 1:-1]
            loss = loss + c.prior_weight * _mean(1 - cosine, sure * plain[1:-1, 1:-1])
        return loss


def depth_normals(
    depth: Float[Tensor, "h w"], camera: Cameras, reduction: int
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """Unit normals of a depth map in world space, turned towards the camera, by central differences.

    Args:
        depth: reduced z-depth in scene units; 0 where unknown.
        camera: of the full-size map; taken as a constant.
        reduction: side in its pixels of one of the depth map's.

    Returns:
        The normals (0 at the border), and 1 where all four neighbours lie on one surface.
    """
    height, width = depth.shape
    pixels = pixel_grid(width, height, dtype=depth.dtype).to(depth.device) * reduction
    rays = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1)
    rays = rays @ torch.linalg.inv(camera.K[0].detach().to(depth.dtype)).T
    points = rays * depth[..., None]
    across = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    normals = torch.linalg.cross(down, across)
    unit = normals / normals.square().sum(-1, keepdim=True).clamp(min=1e-30).sqrt()
    around = torch.stack([depth[1:-1, 2:], depth[1:-1, :-2], depth[2:, 1:-1], depth[:-2, 1:-1]]).detach()
    nearest, farthest = around.amin(0), around.amax(0)
    smooth = (nearest > 0) & (farthest - nearest < MAX_SLOPE * nearest)
    rotation = camera.cam_from_world[0, :3, :3].detach().to(depth.dtype)
    pad = (0, 0, 1, 1, 1, 1)
    # Unknown depth makes points of 0, whose cross products have no direction.
    unit = torch.where(smooth[..., None], unit, 0.0)
    return torch.nn.functional.pad(unit @ rotation, pad), torch.nn.functional.pad(smooth.to(depth.dtype), pad[2:])


def _mean(values: Float[Tensor, "h w"], weights: Float[Tensor, "h w"]) -> Float[Tensor, ""]:
    return (weights * values).sum() / weights.sum().clamp(min=1)
