"""The distance of a third camera, settled by dense stereo where few points fix it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sparse3d.core.geometry_prior import CameraPrior, PoseSigmas
from sparse3d.priors.stereo import known
from sparse3d.priors.stereo.attempt import Attempt
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.distances import (
    DISTANCE_SIGMA,
    FACTORS,
    FEW_POINTS,
    MovedView,
    dense_stereo,
    settle_distance,
    with_uncertain_distance,
)
from sparse3d.priors.stereo.output import to_camera_prior
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import triangulate
from sparse3d.priors.stereo.two_view import MatchGraph

from .camera_scene import Scene, make_scene, observations, surface_points

CONFIG = CameraConfig(features="sift")
WRONG = 1.15
"""Times its true distance from the middle camera at which the last one stands."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(3)


def attempt(scene: Scene, *, in_all: int = 0, wrong: float = WRONG, free: bool = True) -> Attempt:
    """True cameras but for the last one's distance, and points that neighbours share, some of them seen by all three."""
    model = known.initial_model(scene.images, scene.cameras, CONFIG)
    points = surface_points(scene, model)
    pairs = [
        observations(scene, model, points[:200], [0, 1], 0.0),
        observations(scene, model, points[200:], [1, 2], 0.0),
    ]
    pairs[1] = pairs[1].select(pairs[1].points < 60)  # fewer: the last view is the one that is moved
    longer = observations(scene, model, points, [0, 1, 2], 0.0)
    parts = [*pairs, longer.select(longer.points < in_all)]
    starts = np.cumsum([0, *(part.count for part in parts)])
    tracks = Tracks(
        np.concatenate([part.views for part in parts]),
        np.concatenate([part.points + start for part, start in zip(parts, starts, strict=False)]),
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.sigmas for part in parts]),
        int(starts[-1]),
    )
    model = replace(model, pose_free=np.full(3, free))
    poses, middle = model.cam_from_world.copy(), model.centres[1]
    poses[2, :3, 3] = -poses[2, :3, :3] @ (middle + wrong * (model.centres[2] - middle))
    model = model.with_poses(poses)
    structure = triangulate(model, tracks, min_angle_deg=CONFIG.min_angle_deg)
    return Attempt(MatchGraph((), (), (), (), ()), tracks, Solution(model, structure, {}))


def distance(found: Attempt, scene: Scene) -> float:
    """Of the last camera from the middle one, in true ones."""
    true = scene.cameras.centres.numpy()
    return float(np.linalg.norm(np.diff(found.solution.model.centres[1:], axis=0)) / np.linalg.norm(true[2] - true[1]))


def test_dense_stereo_finds_the_distance(scene):
    start = attempt(scene)
    settled, moved = settle_distance(start, dense_stereo(scene.images, CONFIG, max_side=160), CONFIG)
    assert distance(start, scene) == pytest.approx(WRONG)
    assert distance(settled, scene) == pytest.approx(1, abs=0.03)
    assert moved == MovedView(view=2, partner=1)
    kept = settled.solution.model
    assert np.array_equal(kept.cam_from_world[:2], start.solution.model.cam_from_world[:2])
    assert np.array_equal(kept.cam_from_world[2, :3, :3], start.solution.model.cam_from_world[2, :3, :3])
    assert settled.solution.structure.inlier.mean() > 0.9, "pairs hold at any distance"


def peak(scene: Scene, at: float, height: float):
    """Counts that another distance raises above what holds everywhere."""
    return lambda found: int(1000 + height * np.exp(-((np.log(distance(found, scene) / at) / 0.05) ** 2)))


def test_between_two_trials(scene):
    """The peak lies between the distances that are tried."""
    at = WRONG * float(FACTORS[2] * 1.02)
    settled, _ = settle_distance(attempt(scene), peak(scene, at, 9000), CONFIG)
    assert distance(settled, scene) == pytest.approx(at, rel=0.006)


def test_what_is_hardly_better_elsewhere_stays(scene):
    start = attempt(scene)
    assert settle_distance(start, peak(scene, 1.0, 300), CONFIG) == (start, None)
    assert settle_distance(start, lambda _: 0, CONFIG) == (start, None)


@pytest.mark.parametrize("case", ["enough points", "given poses", "two views"])
def test_what_is_fixed_otherwise_is_not_tried(scene, case):
    start = attempt(
        scene, in_all=FEW_POINTS + 1 if case == "enough points" else 0, wrong=1.0, free=case != "given poses"
    )
    if case == "two views":
        poses = start.solution.model.cam_from_world.copy()
        poses[0] = np.nan
        start = replace(start, solution=replace(start.solution, model=start.solution.model.with_poses(poses)))

    def confirmed(_: Attempt) -> int:
        raise AssertionError("nothing is to be tried")

    assert settle_distance(start, confirmed, CONFIG) == (start, None)


def test_a_settled_distance_is_told_as_uncertain(scene):
    told = PoseSigmas(torch.full((3,), 0.1), torch.tensor([0.003, 0.004, 0.0], dtype=torch.float64))
    start = attempt(scene)
    prior = to_camera_prior(scene.images, None, start.solution, start.tracks, (), (), "trial", CONFIG)
    prior = replace(prior, pose_sigmas=told)
    widened = with_uncertain_distance(prior, MovedView(view=2, partner=1)).pose_sigmas
    length = torch.linalg.norm(prior.cameras.centres[2] - prior.cameras.centres[1])
    assert widened is not None
    assert torch.allclose(widened.position[2], DISTANCE_SIGMA * length.double())
    assert torch.equal(widened.position[:2], told.position[:2])
    assert torch.equal(widened.rotation_deg, told.rotation_deg)
    untold: CameraPrior = replace(prior, pose_sigmas=None)
    assert with_uncertain_distance(untold, MovedView(2, 1)) is untold
