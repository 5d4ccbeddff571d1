"""Growing a scene view by view: from points seen (PnP) or, where these are few, by relative pose to a placed view."""

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from sparse3d.priors.stereo.chaining import place_by_partner
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import Model
from sparse3d.priors.stereo.registration import GROWING_ROUNDS, REFINE_ROUNDS, Solution, place_by_points, refine
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import Structure
from sparse3d.priors.stereo.two_view import MatchGraph


def add_missing(
    solution: Solution, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int, hold_focal: bool = False
) -> Solution:
    """Place the missing views, the best supported first, refining after each.

    Args:
        hold_focal: keep the focal length while the scene grows: a few views hardly determine it.
    """
    refused: set[int] = set()
    while True:
        model, structure = solution.model, solution.structure
        support = _support(model, tracks, structure)
        links = _links(model, graph)
        candidates = [
            int(v) for v in np.lexsort((-links, -support)) if not model.placed[v] and v not in refused and links[v] > 0
        ]
        grown = None
        for view in candidates:
            grown = _try_to_place(solution, graph, tracks, view, int(support[view]), config, seed, hold_focal)
            if grown is not None:
                break
            refused.add(view)
        if grown is None:
            return solution
        solution = grown
        refused.clear()


def _try_to_place(
    solution: Solution,
    graph: MatchGraph,
    tracks: Tracks,
    view: int,
    support: int,
    config: CameraConfig,
    seed: int,
    hold_focal: bool,
) -> Solution | None:
    model, structure = solution.model, solution.structure
    ways = []
    if support >= config.min_pose_inliers:
        ways.append(lambda: place_by_points(model, tracks, structure, view, config, seed=seed))
    ways.append(lambda: place_by_partner(model, structure, tracks, graph, view, config, seed=seed))
    for way in ways:
        pose = way()
        if pose is None:
            continue
        poses = model.cam_from_world.copy()
        poses[view] = pose
        rounds = GROWING_ROUNDS if hold_focal else REFINE_ROUNDS
        tried = refine(model.with_poses(poses), tracks, config, hold_focal=hold_focal, rounds=rounds)
        if tried.model.placed.sum() > model.placed.sum():
            return tried
    return None


def _support(model: Model, tracks: Tracks, structure: Structure) -> Int[ndarray, " view"]:
    """Triangulated points that each view observes."""
    return np.bincount(tracks.views[np.isfinite(structure.points[tracks.points, 0])], minlength=len(model.group))


def _links(model: Model, graph: MatchGraph) -> Int[ndarray, " view"]:
    """Verified matches of each view with placed ones."""
    links = np.zeros(len(model.group), np.int64)
    for pair in graph.pairs:
        links[pair.i] += len(pair.matches) * bool(model.placed[pair.j])
        links[pair.j] += len(pair.matches) * bool(model.placed[pair.i])
    return links
