"""One attempt at a scene from one graph of matches, and the choice between attempts."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from sparse3d.core import se3
from sparse3d.priors.stereo import assembly, hypotheses, registration, world_frame
from sparse3d.priors.stereo import known as known_cameras
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.evidence import GOOD_SHARE, explained_cost
from sparse3d.priors.stereo.model import Model, residuals_px
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.tracks import Tracks, build_tracks
from sparse3d.priors.stereo.triangulation import triangulate
from sparse3d.priors.stereo.two_view import MatchGraph

CONVINCING_OBSERVATIONS = 40
"""A scene in which every photo sees this many points that fit needs no further kind of feature."""

SURE_FOCAL_SIGMA = 0.05
"""Standard deviation of the logarithmic focal length below which other focal lengths are not tried with further matches."""

KEPT_SHARE = 0.7
"""A scene with more photos must explain this share of what the scene with fewer explained: repeated structure makes
large scenes that contradict the exact matches."""


@dataclass(frozen=True)
class Attempt:
    """Matches, and the cameras and points found from them."""

    graph: MatchGraph
    tracks: Tracks
    solution: Solution

    @property
    def placed(self) -> int:
        return int(self.solution.model.placed.sum())

    def is_convincing(self) -> bool:
        """Whether all photos are placed, nearly all that they show fits, and each sees enough of it."""
        seen = self.tracks.views[self.solution.structure.inlier]
        counts = np.bincount(seen, minlength=len(self.solution.model.group))
        all_seen = self.solution.model.placed.all() and counts.min() >= CONVINCING_OBSERVATIONS
        return bool(all_seen and self.solution.structure.inlier.mean() >= GOOD_SHARE)


def attempt(
    model: Model, graph: MatchGraph, config: CameraConfig, *, seed: int, focal_ratio: float | None = None
) -> Attempt:
    """Solve for what is not known of the cameras.

    Args:
        model: given poses and intrinsics, NaN poses elsewhere.
        focal_ratio: a focal length over the longer side that is known to be near.
    """
    tracks = build_tracks(graph)
    if model.placed.sum() >= 2:
        return Attempt(graph, tracks, _complete(model, graph, tracks, config, seed=seed))
    free = replace(model, pose_free=np.ones_like(model.pose_free))
    blank = free.with_poses(np.full_like(model.cam_from_world, np.nan))
    return Attempt(
        graph, tracks, hypotheses.solve_from_matches(blank, graph, tracks, config, seed=seed, focal_ratio=focal_ratio)
    )


def improve(first: Attempt, model: Model, graph: MatchGraph, config: CameraConfig, *, seed: int) -> Attempt:
    """The best scene once more matches are there: solved anew, or the first one extended, or the first one as it was.

    A scene that contradicts what the first one explained is out; of the others the one wins that explains both sets of
    matches best, photos left out counting as unexplained.

    Args:
        first: from the matches of the more exact kind alone.
        model: as for `attempt`.
        graph: the first attempt's matches and further ones.
    """
    fresh = attempt(model, graph, config, seed=seed, focal_ratio=_sure_focal_ratio(first))
    rivals = [first, fresh]
    if first.placed >= 2:
        solution = registration.refine(first.solution.model, fresh.tracks, config)
        solution = assembly.add_missing(solution, graph, fresh.tracks, config, seed=seed)
        rivals.append(Attempt(graph, fresh.tracks, solution))
    rivals = [r for r in rivals if r is first or keeps(first, r, config)]
    return max(rivals, key=lambda a: -sum(_cost_over(a, r.tracks, config) for r in (first, fresh)))


def _sure_focal_ratio(found: Attempt) -> float | None:
    """The focal length of three views and more that fix it, over the longer side, where all photos share it."""
    sigmas, model = found.solution.focal_sigma, found.solution.model
    if found.placed < 3 or len(sigmas) != 1 or max(sigmas.values()) > SURE_FOCAL_SIGMA:
        return None
    seen_by_placed = model.placed[found.tracks.views]
    if found.solution.structure.inlier[seen_by_placed].mean() < GOOD_SHARE:
        return None
    view = int(np.flatnonzero(model.placed)[0])
    return float(model.focal[view].mean() / model.long_side[view])


def keeps(first: Attempt, rival: Attempt, config: CameraConfig) -> bool:
    """Whether a rival's cameras still explain most of the observations that the first attempt explained."""
    explained = first.solution.structure.inlier
    if first.placed < 2 or not explained.any():
        return True
    kept = triangulate(rival.solution.model, first.tracks, min_angle_deg=config.min_angle_deg).inlier
    return bool(kept[explained].mean() >= KEPT_SHARE)


def _cost_over(found: Attempt, tracks: Tracks, config: CameraConfig) -> float:
    """What the attempt's cameras leave unexplained of some tracks."""
    if found.placed < 2:
        return np.inf
    model = found.solution.model
    structure = triangulate(model, tracks, min_angle_deg=config.min_angle_deg)
    return explained_cost(Solution(model, structure, {}), tracks, config)


def settle_frame(found: Attempt, given: Model) -> Attempt:
    """Move a scene that fewer than two given poses hold: to a tidy frame, or to that in which the one given pose holds."""
    solution, tracks = found.solution, found.tracks
    anchors = np.flatnonzero(given.placed)
    placed = solution.model.placed
    if len(anchors) >= 2 or placed.sum() < 2:
        return found
    views, use = tracks.views, solution.structure.inlier
    _, depths = residuals_px(
        solution.model, views[use], solution.structure.points[tracks.points[use]], tracks.pixels[use]
    )
    moved = _moved(solution, *world_frame.tidy_frame(solution.model.cam_from_world[placed], depths))
    if len(anchors) == 1 and placed[anchors[0]]:
        view = anchors[0]
        new_from_cam = np.linalg.inv(given.cam_from_world[view]) @ moved.model.cam_from_world[view]
        moved = _moved(moved, 1.0, new_from_cam[:3, :3], new_from_cam[:3, 3])
        moved.model.cam_from_world[view] = given.cam_from_world[view]  # to the last bit
    return replace(found, solution=moved)


def _moved(solution: Solution, scale: float, rotation: np.ndarray, translation: np.ndarray) -> Solution:
    poses = world_frame.move_cameras(solution.model.cam_from_world, scale, rotation, translation)
    points = world_frame.move_points(solution.structure.points, scale, rotation, translation)
    structure = registration.Structure(points, solution.structure.inlier)
    return Solution(solution.model.with_poses(poses), structure, solution.focal_sigma)


def _complete(model: Model, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int) -> Solution:
    """Two or more poses given: find what is missing of the intrinsics and the other poses, in the given frame."""
    given = model.placed
    model = known_cameras.search_focal(model, graph, config)
    solution = registration.refine(model, tracks, config)
    solution = assembly.add_missing(solution, graph, tracks, config, seed=seed)
    if not solution.model.placed.all():
        solution = _bridge(solution, graph, tracks, config, seed=seed)
    if config.free_known_poses:
        solution = _moved(solution, *_similarity(solution.model.cam_from_world[given], model.cam_from_world[given]))
    return solution


def _bridge(solution: Solution, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int) -> Solution:
    """Place views that the given ones do not reach: solve from the matches alone, then align to the placed views."""
    model = solution.model
    ones = np.ones_like(model.pose_free)
    alone = replace(model, pose_free=ones, intrinsics_free=~ones)
    other = hypotheses.solve_from_matches(
        alone.with_poses(np.full_like(model.cam_from_world, np.nan)), graph, tracks, config, seed=seed
    ).model
    common = model.placed & other.placed
    extra = other.placed & ~model.placed
    if common.sum() < 2 or not extra.any():
        return solution
    frame = _similarity(other.cam_from_world[common], model.cam_from_world[common])
    moved = world_frame.move_cameras(other.cam_from_world, *frame)
    poses = np.where(extra[:, None, None], moved, model.cam_from_world)
    return registration.refine(model.with_poses(poses), tracks, config)


def _similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The similarity that moves cameras onto the same cameras elsewhere."""
    scale, rotation, translation = se3.sim3_from_cameras(
        se3.invert(torch.from_numpy(source)), se3.invert(torch.from_numpy(target))
    )
    return float(scale), rotation.numpy(), translation.numpy()
