"""What the compiled rasterisers share behind the common interface."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels.rasteriser import KernelImages, KernelSettings
from sparse3d.render.options import RenderOptions, RenderOutput, RenderStatistics


def draw_compiled(
    rasterise_views: Callable[..., KernelImages],
    gaussians: Gaussians,
    cameras: Cameras,
    features: Float[Tensor, "n c"] | None,
    masks: Bool[Tensor, "view h w"] | None,
    options: RenderOptions,
    width: int,
    height: int,
) -> RenderOutput:
    """Draw all views with one of the compiled rasterisers; see `sparse3d.render.rasterise.rasterise`."""
    settings = KernelSettings(
        width=width,
        height=height,
        background=options.background,
        near=options.near,
        eps2d=options.eps2d,
        antialias=options.antialias,
        threads=options.threads or torch.get_num_threads(),
        with_depth=options.depth,
        with_median_depth=options.median_depth,
        with_normals=options.normals,
        with_statistics=options.statistics,
        masks=masks,
    )
    g = gaussians
    centre_gradients = g.means.new_zeros(len(cameras), len(g), 2) if options.statistics else None
    drawn = rasterise_views(
        g.means,
        g.quats_wxyz,
        g.scales,
        g.opacities,
        g.sh,
        features,
        cameras.cam_from_world,
        cameras.K,
        settings,
        centre_gradients,
    )
    statistics = None
    if drawn.radii is not None and drawn.weight_sum is not None and drawn.weight_max is not None:
        assert centre_gradients is not None
        statistics = RenderStatistics(drawn.radii, drawn.weight_sum, drawn.weight_max, centre_gradients)
    depth = drawn.alpha.new_zeros(()).expand_as(drawn.alpha) if drawn.depth is None else drawn.depth
    return RenderOutput(
        rgb=drawn.rgb,
        alpha=drawn.alpha,
        depth=depth,
        features=drawn.values,
        statistics=statistics,
        median_depth=drawn.median_depth,
        normals=drawn.normals,
    )
