"""A textured wall and cameras before it: what was seen, and from where, can be worked out by hand."""

from types import SimpleNamespace

import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.render.rasterise import RenderOptions

OPTIONS = RenderOptions(threads=2)
SIZE = (96, 72)
FOCAL_PX = 96.0


def wall(low: float, high: float, *, z: float = 4.0, half_height: float = 1.8, step: float = 0.06) -> GaussianParams:
    """An opaque wall of random colours across the viewing direction, x from low to high."""
    x, y = torch.meshgrid(torch.arange(low, high, step), torch.arange(-half_height, half_height, step), indexing="ij")
    count = x.numel()
    colours = torch.rand(count, 3, generator=torch.Generator().manual_seed(0))
    return GaussianParams(
        means=torch.stack([x.ravel(), y.ravel(), torch.full((count,), z)], 1),
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.log(torch.tensor([step * 0.6, step * 0.6, 1e-3])).repeat(count, 1),
        logit_opacities=torch.full((count,), 4.0),
        sh=colour_to_sh0(colours),
        confidence=torch.ones(count),
        observations=torch.full((count,), 2),
    )


def together(*parts: GaussianParams) -> GaussianParams:
    """Several sets of Gaussians as one."""
    return GaussianParams(**{name: torch.cat([getattr(p, name) for p in parts]) for name in vars(parts[0])})


def cameras_at(*xs: float, turn: float = 0.0) -> Cameras:
    """Cameras on the x axis that look along z (x right, y down), turned about the upward direction by radians."""
    rotation = se3.so3_exp(torch.tensor([0.0, turn, 0.0], dtype=torch.float64))
    centres = torch.tensor([[x, 0.0, 0.0] for x in xs], dtype=torch.float64)
    poses = se3.compose(rotation.expand(len(xs), 3, 3), -(centres @ rotation.T))
    K = intrinsics_matrix(FOCAL_PX, FOCAL_PX, SIZE[0] / 2, SIZE[1] / 2).expand(len(xs), 3, 3).clone()
    return Cameras.build(poses, K, [SIZE] * len(xs), names=[f"{k}.jpg" for k in range(len(xs))])


def reconstruction(gaussians: GaussianParams, cameras: Cameras) -> Reconstruction:
    """A run whose photos were matched to 30 dB."""
    provenance = Provenance("known", {}, 0, {}, train_px=(FOCAL_PX,) * len(cameras))
    return Reconstruction(cameras, gaussians, provenance, ({"iteration": 1.0, "psnr": 30.0},))


@pytest.fixture
def walls() -> SimpleNamespace:
    """What this file defines."""
    return SimpleNamespace(
        wall=wall, together=together, cameras_at=cameras_at, reconstruction=reconstruction, OPTIONS=OPTIONS
    )
