"""Growing a scene view by view: from points seen (PnP) or, where these are few, by relative pose to a placed view."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from sparse3d.priors.stereo.chaining import place_by_partners
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.evidence import explained_cost, pair_shares
from sparse3d.priors.stereo.model import Model
from sparse3d.priors.stereo.registration import GROWING_ROUNDS, Solution, place_by_points, refine
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import Structure
from sparse3d.priors.stereo.two_view import MatchGraph

BEAM = 3
"""Scenes followed side by side where places are not plain: which of two places of a view is right may show only once the
next view stands."""

CANDIDATES = 2
"""Views tried next in such a scene: those whose strongest partners are placed, then those that see the most points."""

PLAIN_SHARE = 0.5
"""Share of a view's matches with placed ones that must agree with its pose for it to be taken without a competitor."""

PLAIN_LINK = 0.3
"""These, over the matches of its strongest pair: a view whose twin is not placed yet may fit a repeated part of the scene."""

SAME_COST = 2e-3
"""Scenes of the same views whose costs differ by less than this share are one scene reached in two ways."""


def add_missing(
    solution: Solution, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int, hold_focal: bool = False
) -> Solution:
    """Place the missing views, the best supported first, refining after each.

    Where a view's pose leaves most of its matches unexplained, as repeated structure does, the ways to place it and the
    next views compete, and the scene that explains the matches best in the end wins.

    Args:
        hold_focal: keep the focal length while the scene grows: a few views hardly determine it.
    """
    beam, finished = [(0.0, solution)], []
    while beam:
        grown = []
        for cost, scene in beam:
            further = _grow(scene, graph, tracks, config, seed, hold_focal)
            if further:
                grown += further
            else:
                finished.append((cost, scene))
        beam = _best_apart(grown)
    best = min(finished, key=lambda f: f[0])[1]
    return best if best is solution else refine(best.model, tracks, config, hold_focal=hold_focal)


def _best_apart(scenes: list[tuple[float, Solution]]) -> list[tuple[float, Solution]]:
    """The scenes of least cost, each once."""
    best: list[tuple[float, Solution]] = []
    for cost, scene in sorted(scenes, key=lambda s: s[0]):
        placed = scene.model.placed
        known = any((placed == b.model.placed).all() and cost - c <= SAME_COST * c for c, b in best)
        if not known:
            best.append((cost, scene))
    return best[:BEAM]


def _grow(
    solution: Solution, graph: MatchGraph, tracks: Tracks, config: CameraConfig, seed: int, hold_focal: bool
) -> list[tuple[float, Solution]]:
    """Scenes with one more view and what they leave unexplained: a single one if the view's place is plain."""
    model, structure = solution.model, solution.structure
    support = _support(model, tracks, structure)
    counts = graph.match_counts()
    linked = np.where(model.placed, counts, 0)  # each view's matches with placed ones
    links, strong = linked.sum(1), linked.max(1) >= PLAIN_LINK * counts.max(1)
    rivals: list[tuple[float, Solution]] = []
    tried = 0
    for view in np.lexsort((-links, -support, ~strong)).tolist():
        if model.placed[view] or links[view] == 0:
            continue
        before = len(rivals)
        for scene in _ways_to_place(solution, graph, tracks, view, int(support[view]), config, seed, hold_focal):
            cost = explained_cost(scene, tracks, config)
            if not rivals and _is_plain(scene, graph, tracks, view):
                return [(cost, scene)]
            rivals.append((cost, scene))
        tried += len(rivals) > before
        if tried == CANDIDATES:
            break
    return rivals


def _is_plain(grown: Solution, graph: MatchGraph, tracks: Tracks, view: int) -> bool:
    """Whether most matches of the new view with placed ones agree with the scene, and these are not few beside its others."""
    mine = [p for p in graph.pairs if view in (p.i, p.j)]
    sizes = np.array([len(p.matches) for p in mine], float)
    linked = np.array([bool(grown.model.placed[[p.i, p.j]].all()) for p in mine])
    shares = pair_shares(grown, replace(graph, pairs=tuple(mine)), tracks)
    agreeing = float((shares * sizes)[linked].sum())
    return bool(agreeing >= PLAIN_SHARE * sizes[linked].sum() and agreeing >= PLAIN_LINK * sizes.max())


def _ways_to_place(
    solution: Solution,
    graph: MatchGraph,
    tracks: Tracks,
    view: int,
    support: int,
    config: CameraConfig,
    seed: int,
    hold_focal: bool,
) -> Iterator[Solution]:
    """Scenes with one more view: placed by points, then by its relative pose to placed ones."""
    model, structure = solution.model, solution.structure
    for pose in _poses_for(model, structure, graph, tracks, view, support, config, seed):
        poses = model.cam_from_world.copy()
        poses[view] = pose
        tried = refine(model.with_poses(poses), tracks, config, hold_focal=hold_focal, rounds=GROWING_ROUNDS)
        if tried.model.placed.sum() > model.placed.sum():
            yield tried


def _poses_for(
    model: Model,
    structure: Structure,
    graph: MatchGraph,
    tracks: Tracks,
    view: int,
    support: int,
    config: CameraConfig,
    seed: int,
) -> Iterator[Float[ndarray, "4 4"]]:
    if support >= config.min_pose_inliers:
        pose = place_by_points(model, tracks, structure, view, config, seed=seed)
        if pose is not None:
            yield pose
    yield from place_by_partners(model, structure, tracks, graph, view, config, seed=seed)


def _support(model: Model, tracks: Tracks, structure: Structure) -> Int[ndarray, " view"]:
    """Triangulated points that each view observes."""
    return np.bincount(tracks.views[np.isfinite(structure.points[tracks.points, 0])], minlength=len(model.group))
