"""The slow twin of the compiled rasterisers: plain torch, differentiable by autograd, any dtype.

Written from the papers and apart from the kernels, so that it can judge them (`tests/render/test_contract.py`); it also
draws where nothing could be compiled.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.render.options import RenderOptions, RenderOutput, RenderStatistics, mean_of_blended
from sparse3d.render.reference_projection import MIN_ALPHA, Splats, project

MAX_ALPHA = 0.999
"""Opacity in one pixel is held at this, which keeps 1 / (1 - alpha) finite in the gradient."""
MIN_TRANSMITTANCE = 1e-4
"""A Gaussian is blended while the transmittance in front of it is at least this."""

_TILE = 16
_MAX_PAIRS = 4_000_000
"""Pixels times Gaussians looked at in one go: bounds the memory to some hundred megabytes."""
_Z = 3
"""The z-depth's place among the channels, behind red, green and blue."""


def rasterise_reference(
    gaussians: Gaussians,
    cameras: Cameras,
    features: Float[Tensor, "n c"] | None,
    masks: Bool[Tensor, "view h w"] | None,
    options: RenderOptions,
    width: int,
    height: int,
) -> RenderOutput:
    """Draw every view in turn; see `sparse3d.render.rasterise.rasterise`."""
    g = gaussians
    shape = (len(cameras), len(g))
    zeros = g.means.new_zeros
    statistics = RenderStatistics(zeros(shape), zeros(shape), zeros(shape), zeros(*shape, 2))
    images, transmittances, medians = [], [], []
    for view in range(len(cameras)):
        pose, k = cameras.cam_from_world[view].to(g.means), cameras.K[view].to(g.means)
        splats = project(g, features, pose, k, options, width, height)
        if splats.centres.requires_grad and options.statistics:
            _record_gradient(splats.centres, splats.index, statistics.centre_gradients[view])
        wanted = torch.ones(height, width, dtype=torch.bool, device=pose.device) if masks is None else masks[view]
        blended, weights = _blend(splats, wanted, options)
        images.append(blended[..., :-2])
        transmittances.append(blended[..., -2])
        medians.append(blended[..., -1])
        statistics.radii[view, splats.index] = splats.extents.detach().amax(1)
        statistics.weight_sum[view, splats.index], statistics.weight_max[view, splats.index] = weights
    channels, transmittance = torch.stack(images), torch.stack(transmittances)
    behind = 1 + _Z + 3 * options.normals
    alpha = 1 - transmittance
    return RenderOutput(
        rgb=channels[..., :3] + transmittance[..., None] * channels.new_tensor(options.background),
        alpha=alpha,
        depth=mean_of_blended(channels[..., _Z], alpha) if options.depth else torch.zeros_like(alpha),
        features=None if features is None else channels[..., behind:],
        statistics=statistics if options.statistics else None,
        median_depth=torch.stack(medians) if options.median_depth else None,
        normals=channels[..., 1 + _Z : behind] if options.normals else None,
    )


@torch.no_grad()
def contributing_pairs(gaussians: Gaussians, cameras: Cameras, options: RenderOptions) -> int:
    """Number of (pixel, Gaussian) pairs that are blended, over all views: what a rasteriser's time is measured against."""
    count = 0
    for view, (width, height) in enumerate(cameras.sizes):
        pose, k = cameras.cam_from_world[view].to(gaussians.means), cameras.K[view].to(gaussians.means)
        splats = project(gaussians, None, pose, k, options, width, height)
        tile = torch.ones(_TILE, _TILE, dtype=torch.bool, device=pose.device)
        for top in range(0, height, _TILE):
            for left in range(0, width, _TILE):
                part = tile[: height - top, : width - left]
                chosen = _splats_in(splats, left, top, part)
                count += int((_blend_tile(splats, chosen, left, top, part, options)[1] > 0).sum())
    return count


def _record_gradient(centres: Float[Tensor, "m 2"], index: Tensor, place: Float[Tensor, "n 2"]) -> None:
    def record(gradient: Tensor) -> None:
        place.index_copy_(0, index, gradient)

    centres.register_hook(record)


def _blend(
    splats: Splats, wanted: Bool[Tensor, "h w"], options: RenderOptions
) -> tuple[Float[Tensor, "h w c_and_2"], tuple[Tensor, Tensor]]:
    """All channels, the transmittance left, the median depth; and each splat's sum and maximum of weights."""
    height, width = wanted.shape
    sums, most = torch.zeros_like(splats.opacities.detach()), torch.zeros_like(splats.opacities.detach())
    bands = []
    for top in range(0, height, _TILE):
        tiles = []
        for left in range(0, width, _TILE):
            tile = wanted[top : top + _TILE, left : left + _TILE]
            chosen = _splats_in(splats, left, top, tile)
            values, weights = _blend_tile(splats, chosen, left, top, tile, options)
            tiles.append(values)
            if options.statistics and weights.numel():
                sums[chosen] += weights.sum(0)
                most[chosen] = torch.maximum(most[chosen], weights.amax(0))
        bands.append(torch.cat(tiles, 1))
    return torch.cat(bands, 0), (sums, most)


def _splats_in(splats: Splats, left: int, top: int, tile: Bool[Tensor, "h w"]) -> Tensor:
    """Indices of the splats that may touch a tile; none for one without wanted pixels."""
    if not tile.any():
        return splats.index[:0]
    low = splats.extents.new_tensor([left, top])
    high = low + low.new_tensor([tile.shape[1], tile.shape[0]])
    reach = splats.extents + 0.5  # half a pixel of slack: the alpha of each pixel decides
    centres = splats.centres.detach()
    return ((centres + reach >= low) & (centres - reach <= high)).all(1).nonzero()[:, 0]


def _blend_tile(
    splats: Splats, chosen: Tensor, left: int, top: int, tile: Bool[Tensor, "h w"], options: RenderOptions
) -> tuple[Float[Tensor, "h w c_and_2"], Float[Tensor, "p m"]]:
    """A tile's channels, transmittance and median depth, and the weights in its wanted pixels without gradient."""
    rows, columns = tile.nonzero(as_tuple=True)
    pixels = torch.stack([columns + left, rows + top], 1).to(splats.extents) + 0.5
    arrays = [t[chosen] for t in (splats.centres, splats.conics, splats.opacities, splats.channels)]
    values, weights = [], []
    for part in pixels.split(max(1, _MAX_PAIRS // max(1, len(chosen)))):
        # Recomputed in the backward pass: what autograd would keep for all pixels at once does not fit in memory.
        blended, weight = checkpoint(_blend_pixels, part, *arrays, options.median_depth, use_reentrant=False)
        values.append(blended)
        weights.append(weight.detach())
    drawn = torch.cat(values)
    empty = drawn.new_zeros(*tile.shape, drawn.shape[1])
    empty[..., -2] = 1
    return empty.index_put((rows, columns), drawn), torch.cat(weights)


def _blend_pixels(
    pixels: Float[Tensor, "p 2"],
    centres: Float[Tensor, "m 2"],
    conics: Float[Tensor, "m 3"],
    opacities: Float[Tensor, " m"],
    channels: Float[Tensor, "m c"],
    with_median: bool,
) -> tuple[Float[Tensor, "p c_and_2"], Float[Tensor, "p m"]]:
    dx, dy = (pixels[:, None, :] - centres[None, :, :]).unbind(-1)
    a, b, c = conics.unbind(1)
    alpha = opacities * torch.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy))
    alpha = torch.where(alpha >= MIN_ALPHA, alpha.clamp_max(MAX_ALPHA), 0.0)
    with torch.no_grad():
        open_pixels = _exclusive_product(1 - alpha) >= MIN_TRANSMITTANCE
    alpha = torch.where(open_pixels, alpha, 0.0)
    in_front = _exclusive_product(1 - alpha)
    weights = alpha * in_front
    transmittance = (1 - alpha).prod(1, keepdim=True)
    if with_median:
        median = _median(in_front * (1 - alpha), channels[:, _Z])
    else:
        median = torch.zeros_like(transmittance[:, 0])
    return torch.cat([weights @ channels, transmittance, median[:, None]], 1), weights


def _median(behind: Float[Tensor, "p m"], z: Float[Tensor, " m"]) -> Float[Tensor, " p"]:
    """The z of the first splat behind which the transmittance is below 1/2; 0 where there is none."""
    if behind.shape[1] == 0:
        return behind.new_zeros(len(behind))
    dark = behind.detach() < 0.5
    return torch.where(dark.any(1), z[dark.byte().argmax(1)], 0.0)


def _exclusive_product(factors: Float[Tensor, "p m"]) -> Float[Tensor, "p m"]:
    """Product of all factors before each one."""
    ones = torch.ones_like(factors[:, :1])
    return torch.cat([ones, factors], 1).cumprod(1)[:, :-1]
