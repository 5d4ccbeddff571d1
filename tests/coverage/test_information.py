"""Fisher information from random pictures, against the exact derivatives."""

import pytest
import torch

from sparse3d.core.gaussians import Gaussians
from sparse3d.coverage.information import noise_variance, position_covariance, view_information, working_camera
from sparse3d.render.rasterise import RenderOptions, rasterise

PROBES = 3000


def test_random_pictures_give_the_information_of_the_exact_jacobian(walls, generator):
    camera = walls.cameras_at(0.0).resized([(24, 18)])
    cloud = Gaussians(
        means=torch.randn(5, 3, generator=generator).double() * 0.4 + torch.tensor([0.0, 0.0, 3.0]),
        quats_wxyz=torch.randn(5, 4, generator=generator).double(),
        scales=(0.1 + 0.2 * torch.rand(5, 3, generator=generator)).double(),
        opacities=torch.full((5,), 0.8).double(),
        sh=torch.rand(5, 1, 3, generator=generator).double(),
    )
    options = RenderOptions(backend="reference", depth=False)

    def picture(means: torch.Tensor) -> torch.Tensor:
        return rasterise(Gaussians(means, *list(vars(cloud).values())[1:]), camera, options=options).rgb.flatten()

    jacobian = torch.autograd.functional.jacobian(picture, cloud.means)
    exact = torch.einsum("rna,rnb->nab", jacobian, jacobian)
    found = view_information(cloud, camera, probes=PROBES, generator=generator, options=walls.OPTIONS)
    for i in range(5):
        scale = exact[i].diagonal().sum()
        assert (found.position[i] - exact[i]).abs().max() < 0.1 * scale, "the estimate's own noise is 4 % of the trace"
    share = picture(cloud.means.detach()).numel() / 3
    assert 0 < found.weight.sum() <= share


def test_a_picture_tells_little_along_its_ray(walls, generator):
    scene = walls.reconstruction(walls.wall(-2, 2), walls.cameras_at(0.0))
    found = view_information(
        scene.gaussians.activate(),
        working_camera(scene.cameras),
        probes=8,
        generator=generator,
        options=walls.OPTIONS,
    )
    total = found.position[scene.gaussians.means[:, :2].norm(dim=1) < 0.5].sum(0)
    assert total[2, 2] < 0.05 * total[0, 0]


def test_covariance_is_the_prior_without_pictures_and_shrinks_where_they_tell():
    sigma = torch.tensor([0.5, 2.0])
    alone = position_covariance([], 0.01, sigma)
    assert torch.allclose(alone.diagonal(dim1=1, dim2=2), (sigma**2)[:, None].expand(2, 3))
    across = torch.diag(torch.tensor([4.0, 0.0, 0.0])).expand(2, 3, 3)
    told = position_covariance([across, across], 0.01, sigma)
    expected = 1 / (1 / sigma**2 + 800.0)
    assert torch.allclose(told[:, 0, 0], expected) and torch.allclose(told[:, 2, 2], sigma**2)


def test_inverse_of_full_matrices():
    root = torch.randn(7, 3, 3, generator=torch.Generator().manual_seed(1))
    information = root @ root.transpose(1, 2)
    found = position_covariance([information], 1.0, torch.full((7,), 3.0))
    assert torch.allclose(found, torch.linalg.inv(information + torch.eye(3) / 9), atol=1e-4)


def test_noise_comes_from_the_history_and_has_a_floor(walls):
    scene = walls.reconstruction(walls.wall(-1, 1), walls.cameras_at(0.0))
    assert noise_variance(scene) == pytest.approx(1e-3)
    assert noise_variance(scene.replace(history=())) == pytest.approx(0.05**2)
    perfect = scene.replace(history=({"iteration": 1.0, "psnr": 90.0},))
    assert noise_variance(perfect) == pytest.approx((2 / 255) ** 2)
