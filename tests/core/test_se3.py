"""Transforms: against the matrix exponential, against their inverses, and gradients at zero."""

import math

import pytest
import torch

from sparse3d.core import se3


def random_rigid(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return se3.se3_exp(torch.randn(count, 6, dtype=torch.float64, generator=generator))


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5, 1e-3, 1.0, 3.1])
def test_se3_exp_is_the_matrix_exponential(size: float) -> None:
    tangent = size * torch.nn.functional.normalize(
        torch.tensor([[0.3, -1.0, 2.0, 0.5, 0.7, -0.2]], dtype=torch.float64)
    )
    generator = torch.zeros(4, 4, dtype=torch.float64)
    generator[:3, :3], generator[:3, 3] = se3.hat(tangent[0, 3:]), tangent[0, :3]
    torch.testing.assert_close(se3.se3_exp(tangent)[0], torch.linalg.matrix_exp(generator), rtol=1e-12, atol=1e-14)


def test_se3_exp_has_gradients_at_zero() -> None:
    zero = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(se3.se3_exp, (zero,))


def test_inverse_undoes() -> None:
    transform = random_rigid(5)
    eye = torch.eye(4, dtype=torch.float64).expand(5, 4, 4)
    torch.testing.assert_close(se3.invert(transform) @ transform, eye)


def test_quaternions_round_trip_near_half_turns() -> None:
    axes = torch.eye(3, dtype=torch.float64)
    rotations = torch.cat([random_rigid(20)[:, :3, :3], se3.so3_exp(axes * (math.pi - 1e-7)), se3.so3_exp(axes * 1e-8)])
    quats = se3.rotation_to_quat_wxyz(rotations)
    torch.testing.assert_close(se3.quat_wxyz_to_rotation(quats), rotations, rtol=0, atol=1e-12)
    assert (quats[:, 0] >= 0).all()


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 30.0, 179.9])
def test_rotation_angle(degrees: float) -> None:
    rotation = se3.so3_exp(torch.tensor([[0.0, math.radians(degrees), 0.0]], dtype=torch.float64))
    assert se3.rotation_angle_deg(rotation).item() == pytest.approx(degrees, abs=1e-9)


def test_nearest_rotation_is_a_rotation_and_keeps_one() -> None:
    rotations = random_rigid(4)[:, :3, :3]
    torch.testing.assert_close(se3.nearest_rotation(rotations * 1.3), rotations)
    mirrored = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))[None]
    assert torch.linalg.det(se3.nearest_rotation(mirrored)).item() == pytest.approx(1)


def test_similarity_of_two_cameras_is_found() -> None:
    cam_from_source = random_rigid(2, seed=3)
    rotation, translation, scale = (
        random_rigid(1, seed=4)[0, :3, :3],
        torch.tensor([1.0, 2, 3]).double(),
        torch.tensor(2.5),
    )
    cam_from_target = se3.apply_sim3_to_cameras(cam_from_source, scale.double(), rotation, translation)
    found = se3.sim3_from_cameras(se3.invert(cam_from_source), se3.invert(cam_from_target))
    assert found[0].item() == pytest.approx(2.5)
    torch.testing.assert_close(found[1], rotation)
    torch.testing.assert_close(found[2], translation)
    with pytest.raises(ValueError, match="at least two"):
        se3.sim3_from_cameras(cam_from_source[:1], cam_from_source[:1])
