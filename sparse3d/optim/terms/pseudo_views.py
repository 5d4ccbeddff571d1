"""The photos warped to cameras between them, as further photos of low weight (so in Pi-GS and DWGS, both 2025).

Between two neighbouring cameras stand a few pseudo cameras. What one of them sees comes from the prior alone: confident
pixels of both photos are splatted into its z-buffer, and every pixel that got a depth looks up its colour in the photos
where the prior's depth agrees, `colour = sum_i c_i (1 - t_i) photo_i / sum_i c_i (1 - t_i)` with the confidence c_i and the
distance t_i to photo i's camera along the way. Everything else counts for nothing. The pictures are made once; their cameras
follow the photos' while these are refined.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.terms.interface import Step, Term
from sparse3d.optim.warping import MIN_CONFIDENCE, nearest_views, reproject, same_surface, sample
from sparse3d.render.losses import photometric_loss
from sparse3d.render.rasterise import RenderOutput, rasterise

AGREEMENT = 0.02
"""Relative difference of depth within which a photo shows the pseudo view's point."""
NEIGHBOURS = 2
"""Views that each one makes a pair with."""


@dataclass(frozen=True)
class PseudoViewsConfig:
    """Settings of `PseudoViews`.

    Attributes:
        weight: of a pseudo view's photometric loss; 0 turns it off.
        every: iterations from one use to the next, since each one draws a further picture.
        per_pair: cameras between two neighbouring ones.
    """

    weight: float = 0.0
    every: int = 2
    per_pair: int = 3

    def __post_init__(self) -> None:
        if self.weight < 0 or self.every < 1 or self.per_pair < 1:
            raise ValueError(f"pseudo_views: weight >= 0, every >= 1 and per_pair >= 1 expected, got {self}")


@dataclass(frozen=True)
class PseudoView:
    """A picture from between two photos.

    Attributes:
        first, second: the photos' views.
        way: 0 at the first camera, 1 at the second.
        colour: 0 to 255.
        weight: by which each pixel counts, 0 to 255 for none to full.
    """

    first: int
    second: int
    way: float
    colour: UInt8[Tensor, "h w 3"]
    weight: UInt8[Tensor, "h w"]


class PseudoViews(Term):
    """Draws one of the pseudo views now and then."""

    def __init__(self, config: PseudoViewsConfig, prior: GeometryPrior) -> None:
        self.config = config
        pairs = {
            (min(view, other), max(view, other))
            for view in range(len(prior.cameras))
            for other in nearest_views(prior.cameras, view, NEIGHBOURS)
        }
        ways = [(k + 1) / (config.per_pair + 1) for k in range(config.per_pair)]
        self.views = [make_pseudo_view(prior, *pair, way) for pair in sorted(pairs) for way in ways]

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""] | None:
        if step.iteration % self.config.every or not self.views:
            return None
        chosen = self.views[int(torch.randint(len(self.views), (), generator=step.generator))]
        camera = between(step.cameras([chosen.first]), step.cameras([chosen.second]), chosen.way)
        shown = rasterise(step.gaussians, camera, options=step.render)
        dtype = shown.rgb.dtype
        found = photometric_loss(
            shown.rgb,
            chosen.colour[None].to(dtype) / 255,
            mask=chosen.weight[None].to(dtype) / 255,
            threads=step.render.threads,
        )
        return self.config.weight * found.loss


@torch.no_grad()
def between(first: Cameras, second: Cameras, way: float) -> Cameras:
    """The first camera, moved and turned by a share of the way to the second one; it keeps its intrinsics.

    Centres go along the straight line, rotations along the shortest arc (quaternions, normalised after mixing).
    """
    quats = se3.rotation_to_quat_wxyz(torch.stack([c.cam_from_world[0, :3, :3] for c in (first, second)]))
    sign = 1 if float((quats[0] * quats[1]).sum()) >= 0 else -1
    mixed = torch.nn.functional.normalize((1 - way) * quats[0] + way * sign * quats[1], dim=0)
    rotation = se3.quat_wxyz_to_rotation(mixed)
    centre = (1 - way) * first.centres[0] + way * second.centres[0]
    pose = se3.compose(rotation, -rotation @ centre)
    return first.replace(cam_from_world=pose[None], pose_known=(False,))


@torch.no_grad()
def make_pseudo_view(prior: GeometryPrior, first: int, second: int, way: float) -> PseudoView:
    """What the prior shows from between two photos, and how sure it is of it."""
    cameras = {view: prior.cameras.select([view]) for view in (first, second)}
    camera = between(cameras[first], cameras[second], way)
    depth = _splatted_depth(prior, [first, second], camera)
    colour, total = torch.zeros(*depth.shape, 3), torch.zeros(depth.shape)
    best = torch.zeros(depth.shape)
    for view, share in ((first, 1 - way), (second, way)):
        landing = reproject(depth, camera, cameras[view])
        found = prior.depths[view]
        sure = _sure(prior, view)
        confidence = sample((found.confidence * sure).float()[..., None], landing.pixels, nearest=True)[..., 0]
        confidence = confidence * same_surface(landing, found.depth.float(), AGREEMENT)
        colour += (share * confidence)[..., None] * sample(prior.images[view].float(), landing.pixels)
        total += share * confidence
        best = torch.maximum(best, confidence)
    known = total > 0
    colour = torch.where(known[..., None], colour / total.clamp(min=1e-6)[..., None], torch.zeros_like(colour))
    as_bytes = [(255 * t.clamp(0, 1)).round().to(torch.uint8) for t in (colour, best * known)]
    return PseudoView(first, second, way, as_bytes[0], as_bytes[1])


def _sure(prior: GeometryPrior, view: int) -> Tensor:
    """Pixels of the photo that count, with a depth that was seen."""
    found = prior.depths[view]
    return (found.depth > 0) & (found.confidence >= MIN_CONFIDENCE) & (prior.masks[view] > 0.5)


def _splatted_depth(prior: GeometryPrior, views: list[int], camera: Cameras) -> Float[Tensor, "h w"]:
    """The nearest sure depth at each pixel of a camera, 0 where there is none.

    Every point covers the four pixels around it, so that surfaces seen at up to twice the size have no holes.
    """
    width, height = camera.sizes[0]
    buffer = torch.full((height * width,), torch.inf)
    for view in views:
        depth = torch.where(_sure(prior, view), prior.depths[view].depth, 0.0)
        landing = reproject(depth.float(), prior.cameras.select([view]), camera)
        corner = (landing.pixels[landing.inside] - 0.5).floor().long()
        z = landing.depth[landing.inside]
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            x, y = corner[:, 0] + dx, corner[:, 1] + dy
            on = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            buffer.scatter_reduce_(0, (y * width + x)[on], z[on], "amin")
    return torch.where(buffer.isfinite(), buffer, torch.zeros_like(buffer)).reshape(height, width)
