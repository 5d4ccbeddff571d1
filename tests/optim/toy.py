"""A small scene with an exact answer: coloured Gaussians on a wavy sheet, photographed by rendering them."""

import dataclasses

import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.geometry_prior import GeometryPrior, SparsePoints, ViewDepth
from sparse3d.render.rasterise import RenderOptions, rasterise

WIDTH, HEIGHT, FOCAL = 64, 48, 60.0


def toy_cameras(count: int = 3) -> Cameras:
    """Cameras side by side that look along z, slightly turned."""
    tangents = torch.tensor([[0.25 * (i - 1), 0.03 * i, 0.0, 0.01 * i, -0.04 * (i - 1), 0.0] for i in range(count)])
    K = intrinsics_matrix(FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2).expand(count, 3, 3).clone()
    return Cameras.build(se3.se3_exp(tangents.double()), K, [(WIDTH, HEIGHT)] * count, groups=[0] * count)


def toy_params(generator: torch.Generator) -> GaussianParams:
    """A sheet of Gaussians at a depth of about 3 with random smooth colours."""
    ys, xs = torch.meshgrid(torch.linspace(-1.6, 1.6, 40), torch.linspace(-2.2, 2.2, 56), indexing="ij")
    zs = 3 + 0.3 * torch.sin(2 * xs) * torch.cos(1.5 * ys)
    means = torch.stack([xs, ys, zs], -1).reshape(-1, 3)
    noise = torch.nn.functional.interpolate(torch.rand(1, 3, 10, 14, generator=generator), (40, 56), mode="bicubic")
    colour = noise[0].permute(1, 2, 0).reshape(-1, 3).clamp(0.05, 0.95)
    count = len(means)
    return GaussianParams(
        means=means,
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.full((count, 3), 0.05).log(),
        logit_opacities=torch.full((count,), 2.0),
        sh=colour_to_sh0(colour),
        confidence=torch.full((count,), 0.9),
        observations=torch.full((count,), 3),
    )


def toy_prior(params: GaussianParams, cameras: Cameras) -> GeometryPrior:
    """A perfect prior of the sheet."""
    output = rasterise(params.activate(), cameras.to(torch.float32), options=RenderOptions())
    depths = tuple(ViewDepth(d, torch.full_like(d, 0.8), torch.full(d.shape, 2)) for d in output.depth.detach())
    empty = torch.zeros(0, dtype=torch.int64)
    points = SparsePoints(
        torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, 3), torch.zeros(0), empty, empty, torch.zeros(0, 2)
    )
    return GeometryPrior(
        cameras=cameras,
        depths=depths,
        images=tuple(output.rgb.detach()),
        masks=tuple(torch.ones(HEIGHT, WIDTH) for _ in range(len(cameras))),
        full_cameras=cameras.resized([(2 * WIDTH, 2 * HEIGHT)] * len(cameras)),
        points=points,
        unplaced=(),
        warnings=(),
        source="toy",
        scale_kind="global",
    )


def with_cameras(prior: GeometryPrior, cameras: Cameras) -> GeometryPrior:
    """The same photos with other cameras."""
    full = cameras.resized(prior.full_cameras.sizes)
    return dataclasses.replace(prior, cameras=cameras, full_cameras=full)
