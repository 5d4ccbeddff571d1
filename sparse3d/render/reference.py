"""The slow twin of the compiled rasteriser: plain torch, differentiable by autograd, any dtype.

Written from the papers and apart from the kernels, so that it can judge them
(`tests/kernels/test_rasteriser_against_reference.py`); it also draws where nothing could be compiled.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.render.options import RenderOptions, RenderOutput, RenderStatistics, mean_depth
from sparse3d.render.spherical_harmonics import sh_colours

MIN_ALPHA = 1 / 255
"""A contribution below one grey level of 8 bits is not drawn; it bounds a Gaussian's footprint."""
MAX_ALPHA = 0.999
"""Opacity in one pixel is held at this, which keeps 1 / (1 - alpha) finite in the gradient."""
MIN_TRANSMITTANCE = 1e-4
"""A Gaussian is blended while the transmittance in front of it is at least this."""
FRUSTUM_MARGIN = 0.15
"""The projection is linearised no further outside the image than this fraction of its size (1.3 * tan(fov / 2))."""

_TILE = 16
_MAX_PAIRS = 4_000_000
"""Pixels times Gaussians looked at in one go: bounds the memory to some hundred megabytes."""


@dataclass(frozen=True)
class _Splats:
    """Projected Gaussians of one view, front to back; `index` says which they were."""

    index: Tensor
    centres: Float[Tensor, "m 2"]
    conics: Float[Tensor, "m 3"]
    opacities: Float[Tensor, " m"]
    channels: Float[Tensor, "m c"]
    extents: Float[Tensor, "m 2"]


def rasterise_reference(
    gaussians: Gaussians,
    cameras: Cameras,
    features: Float[Tensor, "n c"] | None,
    options: RenderOptions,
    width: int,
    height: int,
) -> RenderOutput:
    """Draw every view in turn; see `sparse3d.render.rasterise.rasterise`."""
    g, dtype = gaussians, gaussians.means.dtype
    shape = (len(cameras), len(g))
    zeros = g.means.new_zeros
    statistics = RenderStatistics(zeros(shape), zeros(shape), zeros(shape), zeros(*shape, 2))
    rgb, alpha, depth, extra = [], [], [], []
    for view in range(len(cameras)):
        pose, k = cameras.cam_from_world[view].to(dtype), cameras.K[view].to(dtype)
        splats = _project(g, features, pose, k, options, width, height)
        if splats.centres.requires_grad and options.statistics:
            _record_gradient(splats.centres, splats.index, statistics.centre_gradients[view])
        image, transmittance, weights = _blend(splats, width, height, with_weights=options.statistics)
        background = image.new_tensor(options.background)
        rgb.append(image[..., :3] + transmittance[..., None] * background)
        alpha.append(1 - transmittance)
        depth.append(mean_depth(image[..., 3], alpha[-1]) if options.depth else torch.zeros_like(transmittance))
        extra.append(image[..., 4:])
        statistics.radii[view, splats.index] = splats.extents.detach().amax(1)
        statistics.weight_sum[view, splats.index], statistics.weight_max[view, splats.index] = weights
    return RenderOutput(
        torch.stack(rgb),
        torch.stack(alpha),
        torch.stack(depth),
        None if features is None else torch.stack(extra),
        statistics if options.statistics else None,
    )


def _record_gradient(centres: Float[Tensor, "m 2"], index: Tensor, place: Float[Tensor, "n 2"]) -> None:
    def record(gradient: Tensor) -> None:
        place.index_copy_(0, index, gradient)

    centres.register_hook(record)


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


def _project(
    g: Gaussians,
    features: Float[Tensor, "n c"] | None,
    pose: Float[Tensor, "4 4"],
    k: Float[Tensor, "3 3"],
    options: RenderOptions,
    width: int,
    height: int,
) -> _Splats:
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
    colours = sh_colours(g.sh[index], means + pose[:3, :3].T @ pose[:3, 3])
    channels = [colours, z[:, None], *(() if features is None else (features[index],))]
    extents = _extents(covariances, opacities).detach()
    return _Splats(index, centres, conics, opacities, torch.cat(channels, 1), extents)


def _blend(
    splats: _Splats, width: int, height: int, *, with_weights: bool
) -> tuple[Float[Tensor, "h w c"], Float[Tensor, "h w"], tuple[Tensor, Tensor]]:
    """All channels, the transmittance left, and each splat's sum and maximum of weights."""
    sums, most = torch.zeros_like(splats.opacities.detach()), torch.zeros_like(splats.opacities.detach())
    bands = []
    for top in range(0, height, _TILE):
        tiles = []
        for left in range(0, width, _TILE):
            low = splats.centres.new_tensor([left, top])
            high = splats.centres.new_tensor([min(left + _TILE, width), min(top + _TILE, height)])
            reach = splats.extents + 0.5  # half a pixel of slack: the alpha of each pixel decides
            touching = ((splats.centres.detach() + reach >= low) & (splats.centres.detach() - reach <= high)).all(1)
            chosen = touching.nonzero()[:, 0]
            values, weights = _blend_tile(splats, chosen, low, high)
            tiles.append(values)
            if with_weights and len(chosen):
                sums[chosen] += weights.sum(0)
                most[chosen] = torch.maximum(most[chosen], weights.amax(0))
        bands.append(torch.cat(tiles, 1))
    image = torch.cat(bands, 0)
    return image[..., :-1], image[..., -1], (sums, most)


def _blend_tile(
    splats: _Splats, chosen: Tensor, low: Float[Tensor, "2"], high: Float[Tensor, "2"]
) -> tuple[Float[Tensor, "h w c"], Float[Tensor, "p m"]]:
    """Channels and (last) transmittance of a rectangle of pixels, and the weights without gradient."""
    xs = torch.arange(int(low[0]), int(high[0]), dtype=low.dtype, device=low.device) + 0.5
    ys = torch.arange(int(low[1]), int(high[1]), dtype=low.dtype, device=low.device) + 0.5
    pixels = torch.stack([xs[None, :].expand(len(ys), -1), ys[:, None].expand(-1, len(xs))], -1).reshape(-1, 2)
    arrays = [t[chosen] for t in (splats.centres, splats.conics, splats.opacities, splats.channels)]
    values, weights = [], []
    for part in pixels.split(max(1, _MAX_PAIRS // max(1, len(chosen)))):
        # Recomputed in the backward pass: what autograd would keep for all pixels at once does not fit in memory.
        blended, weight = checkpoint(_blend_pixels, part, *arrays, use_reentrant=False)
        values.append(blended)
        weights.append(weight.detach())
    return torch.cat(values).reshape(len(ys), len(xs), -1), torch.cat(weights)


def _blend_pixels(
    pixels: Float[Tensor, "p 2"],
    centres: Float[Tensor, "m 2"],
    conics: Float[Tensor, "m 3"],
    opacities: Float[Tensor, " m"],
    channels: Float[Tensor, "m c"],
) -> tuple[Float[Tensor, "p c_and_1"], Float[Tensor, "p m"]]:
    dx, dy = (pixels[:, None, :] - centres[None, :, :]).unbind(-1)
    a, b, c = conics.unbind(1)
    alpha = opacities * torch.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy))
    alpha = torch.where(alpha >= MIN_ALPHA, alpha.clamp_max(MAX_ALPHA), 0.0)
    with torch.no_grad():
        open_pixels = _exclusive_product(1 - alpha) >= MIN_TRANSMITTANCE
    alpha = torch.where(open_pixels, alpha, 0.0)
    weights = alpha * _exclusive_product(1 - alpha)
    transmittance = (1 - alpha).prod(1, keepdim=True)
    return torch.cat([weights @ channels, transmittance], 1), weights


def _exclusive_product(factors: Float[Tensor, "p m"]) -> Float[Tensor, "p m"]:
    """Product of all factors before each one."""
    ones = torch.ones_like(factors[:, :1])
    return torch.cat([ones, factors], 1).cumprod(1)[:, :-1]
