"""Cameras adjusted to the photos by second-order steps."""

import dataclasses

import numpy as np
import pytest
import torch
from toy import toy_cameras, toy_params, toy_prior, with_cameras

from sparse3d.core import se3
from sparse3d.core.geometry_prior import PoseSigmas
from sparse3d.optim.photo_pairs import choose_patches, grey_photos, linearise
from sparse3d.optim.pose_solver import DEFAULT_SIGMA, PoseSolverConfig, solve_cameras

WIDTH, HEIGHT = 192, 144


@pytest.fixture
def scene(generator):
    """A scene with some contrast, seen by three cameras."""
    params = toy_params(generator)
    fine = 0.15 * torch.sin(9 * params.means[:, :1]) * torch.cos(8 * params.means[:, 1:2])
    params = params.replace(sh=params.sh + fine[:, None])
    cameras = toy_cameras()
    cameras = cameras.resized([(WIDTH, HEIGHT)] * len(cameras))
    masks = tuple(torch.ones(HEIGHT, WIDTH) for _ in range(len(cameras)))
    return dataclasses.replace(toy_prior(params, cameras), masks=masks)


def solve(prior, config=None, **flags):
    flags = {"refine_poses": True, "refine_focal": True, "seed": 0, **flags}
    return solve_cameras(prior, config or PoseSolverConfig(), **flags)


def moved(prior, tangent):
    """The prior with its second camera elsewhere."""
    motion = torch.zeros(3, 6, dtype=torch.float64)
    motion[1] = torch.tensor(tangent)
    return with_cameras(prior, prior.cameras.replace(cam_from_world=se3.se3_exp(motion) @ prior.cameras.cam_from_world))


def test_derivatives_are_those_of_the_residual(scene):
    """Against central differences; the factor of contrast adapts, of which the derivatives know the larger part."""
    photos = grey_photos(scene)
    patches = choose_patches(scene, photos, 0, count=60, generator=np.random.default_rng(0))
    K, poses = scene.cameras.K[[0, 1]].numpy(), scene.cameras.cam_from_world[[0, 1]].double()
    zero = np.zeros(len(patches.depth))

    def at(values):
        motions = se3.se3_exp(torch.from_numpy(values[:12].reshape(2, 6))) @ poses
        scaled = K.copy()
        scaled[:, [0, 1], [0, 1]] *= np.exp(values[12:14])[:, None]
        return linearise(patches, zero + values[14], photos[1], scaled, motions.numpy(), 0.01)

    found = at(np.zeros(15))
    by_all = np.concatenate([found.by_cameras, found.by_depth[..., None]], -1)
    step = 1e-3
    for k in range(15):
        ahead, behind = (at(sign * step * np.eye(15)[k]) for sign in (1, -1))
        shared = np.intersect1d(ahead.chosen, behind.chosen)
        rows = [np.searchsorted(x.chosen, shared) for x in (ahead, behind, found)]
        difference = (ahead.residual[rows[0]] - behind.residual[rows[1]]) / (2 * step)
        expected = by_all[rows[2]][..., k]
        assert np.corrcoef(difference.ravel(), expected.ravel())[0, 1] > 0.9, k
        assert np.linalg.norm(difference - expected) < 0.45 * np.linalg.norm(expected), k


def test_a_moved_camera_moves_back(scene):
    prior = moved(scene, [0.008, -0.004, 0.0, 0.002, 0.003, -0.002])
    solved = solve(prior)
    true = scene.cameras.cam_from_world[1]

    def off(cameras):
        return float(se3.rotation_angle_deg(cameras.cam_from_world[1, :3, :3].T @ true[:3, :3]))

    assert off(solved.cameras) < 0.3 * off(prior.cameras)
    assert torch.allclose(solved.cameras.cam_from_world[0], prior.cameras.cam_from_world[0], atol=1e-12)
    assert torch.allclose(solved.full_cameras.cam_from_world, solved.cameras.cam_from_world)


def test_what_the_prior_tells_is_shared_by_three_axes(scene):
    """Its standard deviations are of whole vectors, those taken where it does not tell are of an axis."""
    prior = moved(scene, [0.004, 0.002, 0.0, 0.0, 0.002, 0.0])
    unit = float(torch.cat([d.depth[d.depth > 0] for d in prior.depths]).median())
    whole = torch.full((3,), 3**0.5 * DEFAULT_SIGMA, dtype=torch.float64)
    told = dataclasses.replace(prior, pose_sigmas=PoseSigmas(whole.rad2deg(), whole * unit))
    poses = solve(prior).cameras.cam_from_world
    assert torch.allclose(solve(told).cameras.cam_from_world, poses, atol=1e-7)
    firm = dataclasses.replace(prior, pose_sigmas=PoseSigmas(whole.rad2deg() / 10, whole * unit / 10))
    assert not torch.allclose(solve(firm).cameras.cam_from_world, poses, atol=1e-4)


def test_a_wrong_focal_length_is_adjusted_for_all_that_share_it(scene):
    K = scene.cameras.K.clone()
    K[:, :2, :2] *= 1.05
    config = PoseSolverConfig(steps=12, focal_sigma=1.0, depth_sigma=1e-4)
    solved = solve(with_cameras(scene, scene.cameras.replace(K=K)), config, refine_poses=False)
    focal = solved.cameras.K[:, 0, 0] / scene.cameras.K[:, 0, 0]
    assert torch.allclose(focal, focal[0].expand(3))
    assert abs(float(focal[0]) - 1) < 0.02


def test_depth_moves_with_the_cameras(scene):
    """Depth that is two percent too far comes nearer where there are patches, and stays unknown where it was."""
    far = tuple(dataclasses.replace(d, depth=1.02 * d.depth) for d in scene.depths)
    far[0].depth[:10] = 0
    solved = solve(dataclasses.replace(scene, depths=far), PoseSolverConfig(depth_sigma=10.0), refine_focal=False)
    off = [float((d.depth / t.depth - 1)[12:].abs().median()) for d, t in zip(solved.depths, scene.depths, strict=True)]
    assert max(off) < 0.01
    assert bool((solved.depths[0].depth[:10] == 0).all())


def test_what_is_known_stays(scene):
    known = scene.cameras.replace(pose_known=(True,) * 3, intrinsics_known=(True,) * 3)
    prior = with_cameras(scene, known)
    assert solve(prior) is prior
    assert solve(scene, refine_poses=False, refine_focal=False) is scene
    assert solve(scene, PoseSolverConfig(steps=0)) is scene


def test_photos_without_contrast_move_nothing(scene):
    grey = tuple(torch.full_like(image, 0.5) for image in scene.images)
    solved = solve(dataclasses.replace(scene, images=grey))
    assert torch.allclose(solved.cameras.cam_from_world, scene.cameras.cam_from_world, atol=1e-9)
    assert torch.equal(solved.depths[0].depth, scene.depths[0].depth)


def test_the_same_seed_gives_the_same(scene):
    prior = moved(scene, [0.004, 0.0, 0.0, 0.0, 0.002, 0.0])
    assert torch.equal(solve(prior).cameras.cam_from_world, solve(prior).cameras.cam_from_world)


@pytest.mark.parametrize("bad", ["steps", "patches", "huber", "depth_sigma", "focal_sigma"])
def test_settings_that_make_no_sense_are_refused(bad):
    value = getattr(PoseSolverConfig(), bad)
    with pytest.raises(ValueError, match=bad):
        dataclasses.replace(PoseSolverConfig(), **{bad: type(value)(-1)})
