"""The reference rasteriser's projection: Gaussians of the world to splats of one view, in plain torch."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core.gaussians import Gaussians
from sparse3d.render.normals import facing_normals
from sparse3d.render.options import RenderOptions
from sparse3d.render.spherical_harmonics import sh_colours

MIN_ALPHA = 1 / 255
"""A contribution below one grey level of 8 bits is not drawn; it bounds a Gaussian's footprint."""
FRUSTUM_MARGIN = 0.15
"""The projection is linearised no further outside the image than this fraction of its size (1.3 * tan(fov / 2))."""


@dataclass(frozen=True)
class Splats:
    """Projected Gaussians of one view, front to back.

    Attributes:
        index: which Gaussians they were.
        conics: upper triangle of the inverse covariances, in 1/pixels^2.
        channels: red, green, blue, z-depth, normal (3, if asked for), features.
        extents: half-extents of the footprints, in pixels.
    """

    index: Tensor
    centres: Float[Tensor, "m 2"]
    conics: Float[Tensor, "m 3"]
    opacities: Float[Tensor, " m"]
    channels: Float[Tensor, "m c"]
    extents: Float[Tensor, "m 2"]


def _rotations(quats_wxyz: Float[Tensor, "n 4"]) -> Float[Tensor, "n 3 3"]:
    w, x, y, z = (quats_wxyz / quats_wxyz.norm(dim=1, keepdim=True)).unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _geometry(
    means: Float[Tensor, "n 3"],
    quats: Float[Tensor, "n 4"],
    scales: Float[Tensor, "n 3"],
    pose: Float[Tensor, "4 4"],
    k: Float[Tensor, "3 3"],
    width: int,
    height: int,
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, " n"], Float[Tensor, "n 2 2"]]:
    """Centres in pixels, z-depths and 2D covariances (Zwicker et al. 2001, eq. 24 to 31)."""
    rotation, translation = pose[:3, :3], pose[:3, 3]
    x, y, z = (means @ rotation.T + translation).unbind(1)
    (fx, cx), (fy, cy) = (k[0, 0], k[0, 2]), (k[1, 1], k[1, 2])
    image_x, image_y = fx * x / z, fy * y / z
    margin_x, margin_y = FRUSTUM_MARGIN * width, FRUSTUM_MARGIN * height
    limited_x = torch.minimum(torch.maximum(image_x, -cx - margin_x), width - cx + margin_x)
    limited_y = torch.minimum(torch.maximum(image_y, -cy - margin_y), height - cy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [torch.stack([fx / z, zero, -limited_x / z], -1), torch.stack([zero, fy / z, -limited_y / z], -1)], -2
    )
    root = jacobian @ rotation @ _rotations(quats) * scales[:, None, :]
    return torch.stack([image_x + cx, image_y + cy], -1), z, root @ root.transpose(1, 2)


def _compensated(
    covariances: Float[Tensor, "n 2 2"], options: RenderOptions
) -> tuple[Float[Tensor, "n 2 2"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Covariances with eps2d on the diagonal, their determinants, and what to multiply opacities by."""
    a, b, c = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    before = (a * c - b * b).clamp_min(0)
    eps = options.eps2d
    after = before + eps * (a + c + eps)
    widened = covariances + eps * torch.eye(2, dtype=a.dtype, device=a.device)
    return widened, after, (before / after).sqrt() if options.antialias else torch.ones_like(after)


@torch.no_grad()
def _drawable(
    g: Gaussians,
    features: Float[Tensor, "n c"] | None,
    pose: Float[Tensor, "4 4"],
    k: Float[Tensor, "3 3"],
    options: RenderOptions,
    width: int,
    height: int,
) -> Bool[Tensor, " n"]:
    """Which Gaussians are in front of the camera, finite throughout, opaque enough, and touch the image."""
    centres, depths, covariances = _geometry(g.means, g.quats_wxyz, g.scales, pose, k, width, height)
    covariances, dets, factors = _compensated(covariances, options)
    opacities = g.opacities * factors
    finite = torch.isfinite(centres).all(1) & torch.isfinite(opacities) & torch.isfinite(g.sh).flatten(1).all(1)
    finite &= torch.isfinite(covariances).flatten(1).all(1) & torch.isfinite(dets) & (dets > 0)
    if features is not None:
        finite &= torch.isfinite(features).all(1)
    extents = _extents(covariances, opacities.clamp_min(MIN_ALPHA))
    size = centres.new_tensor([width, height])
    inside = ((centres + extents >= 0.5) & (centres - extents <= size - 0.5)).all(1)
    return finite & (depths > options.near) & (opacities > MIN_ALPHA) & inside


def _extents(covariances: Float[Tensor, "n 2 2"], opacities: Float[Tensor, " n"]) -> Float[Tensor, "n 2"]:
    """Half-extents in pixels of where opacity * exp(-d^T conic d / 2) passes MIN_ALPHA."""
    reach = 2 * (opacities / MIN_ALPHA).log()
    return (reach[:, None] * torch.diagonal(covariances, dim1=1, dim2=2)).sqrt()


def project(
    g: Gaussians,
    features: Float[Tensor, "n c"] | None,
    pose: Float[Tensor, "4 4"],
    k: Float[Tensor, "3 3"],
    options: RenderOptions,
    width: int,
    height: int,
) -> Splats:
    """The Gaussians that this view shows. Gradients flow to everything but `index` and `extents`."""
    # What cannot be drawn never enters the graph, so that no NaN reaches a gradient.
    index = _drawable(g, features, pose, k, options, width, height).nonzero()[:, 0]
    # The order is that of float32 depths, ties by index: the same for every dtype and backend.
    depths = (g.means[index] @ pose[2, :3] + pose[2, 3]).detach().float()
    index = index[depths.argsort(stable=True)]
    means = g.means[index]
    centres, z, covariances = _geometry(means, g.quats_wxyz[index], g.scales[index], pose, k, width, height)
    covariances, det, factors = _compensated(covariances, options)
    conics = torch.stack([covariances[:, 1, 1], -covariances[:, 0, 1], covariances[:, 0, 0]], -1) / det[:, None]
    opacities = g.opacities[index] * factors
    offsets = means + pose[:3, :3].T @ pose[:3, 3]
    channels = [sh_colours(g.sh[index], offsets), z[:, None]]
    if options.normals:
        channels.append(facing_normals(g.quats_wxyz[index], g.scales[index], offsets.detach()))
    if features is not None:
        channels.append(features[index])
    extents = _extents(covariances, opacities).detach()
    return Splats(index, centres, conics, opacities, torch.cat(channels, 1), extents)
