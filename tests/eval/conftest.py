"""A small cloud of coloured Gaussians and cameras that look at it."""

from types import SimpleNamespace

import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.render.rasterise import RenderOptions

OPTIONS = RenderOptions(threads=2)
WIDTH, HEIGHT, FOCAL_PX = 64, 48, 70.0


def cloud(generator: torch.Generator, count: int = 60) -> GaussianParams:
    """Gaussians about the origin, within a sphere of radius one and a half."""
    return GaussianParams(
        means=torch.randn(count, 3, generator=generator) * 0.6,
        quats_wxyz=torch.randn(count, 4, generator=generator),
        log_scales=torch.log(0.08 + 0.12 * torch.rand(count, 3, generator=generator)),
        logit_opacities=torch.full((count,), 2.0),
        sh=colour_to_sh0(torch.rand(count, 3, generator=generator)),
        confidence=torch.ones(count),
        observations=torch.full((count,), 3),
    )


def ring(
    count: int = 6, *, size: tuple[int, int] = (WIDTH, HEIGHT), distortion: tuple[float, ...] = (0, 0, 0, 0)
) -> Cameras:
    """Cameras on an arc at distance 4, looking at the origin."""
    angles = torch.linspace(-0.4, 0.4, count, dtype=torch.float64)
    lifts = 0.15 * torch.cos(3 * angles)
    rotation = se3.so3_exp(torch.stack([lifts, angles, 0.1 * angles], 1))
    translation = torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64).expand(count, 3)
    K = intrinsics_matrix(FOCAL_PX * size[0] / WIDTH, FOCAL_PX * size[0] / WIDTH, size[0] / 2, size[1] / 2)
    return Cameras.build(
        se3.compose(rotation, translation),
        K.expand(count, 3, 3).clone(),
        [size] * count,
        names=[f"{i:03d}.jpg" for i in range(count)],
        distortion=torch.tensor(distortion, dtype=torch.float64).expand(count, 4).clone(),
    )


def reconstruction(gaussians: GaussianParams, cameras: Cameras, **provenance) -> Reconstruction:
    """A run trained at the cameras' own resolution."""
    provenance = {"train_px": (FOCAL_PX,) * len(cameras), **provenance}
    return Reconstruction(cameras, gaussians, Provenance("test", {}, 0, {}, **provenance))


def move_world(run: Reconstruction, scale: float, rotation: torch.Tensor, translation: torch.Tensor) -> Reconstruction:
    """The same reconstruction in another world, `new = scale * rotation @ old + translation`."""
    g = run.gaussians
    turned = rotation.float() @ se3.quat_wxyz_to_rotation(g.quats_wxyz)
    gaussians = g.replace(
        means=(scale * g.means.double() @ rotation.T + translation).float(),
        quats_wxyz=se3.rotation_to_quat_wxyz(turned),
        log_scales=g.log_scales + torch.log(torch.tensor(scale)),
    )
    poses = se3.apply_sim3_to_cameras(run.cameras.cam_from_world, torch.tensor(scale).double(), rotation, translation)
    return run.replace(gaussians=gaussians, cameras=run.cameras.replace(cam_from_world=poses))


@pytest.fixture
def scenes() -> SimpleNamespace:
    """The functions above, for the tests of this folder."""
    return SimpleNamespace(
        cloud=cloud, ring=ring, reconstruction=reconstruction, move_world=move_world, OPTIONS=OPTIONS
    )
