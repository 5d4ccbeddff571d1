"""Cameras from nothing: several focal lengths are tried, and the model that explains the matches best is kept."""

import logging

import numpy as np

from sparse3d.priors.stereo import assembly, registration
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.evidence import explained_cost, explains
from sparse3d.priors.stereo.mapper import map_incrementally
from sparse3d.priors.stereo.model import Model
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.two_view import MatchGraph

logger = logging.getLogger(__name__)

SAME_FOCAL = 0.02
"""Hypotheses that end within this fraction of one another are the same answer."""

MAX_COMPETITIONS = 2
"""Starts from which our own assembly competes with the mapper, while no scene explains the matches: it takes longest where there
is nothing to find."""

CONFIRMATIONS = 2
"""Starts that must end at the same answer before the others are skipped; one more where a connected view is missing."""


def solve_from_matches(
    model: Model,
    graph: MatchGraph,
    tracks: Tracks,
    config: CameraConfig,
    *,
    seed: int,
    focal_ratio: float | None = None,
) -> Solution:
    """Place all views that can be placed, with known intrinsics held and unknown ones found.

    Args:
        focal_ratio: a focal length over the longer side that other matches gave; tried first, and few others then.

    Returns:
        The best solution over the focal hypotheses; with no view placed where nothing fits.
    """
    best, best_cost = Solution(model, _nothing(tracks), {}), np.inf
    answers: list[tuple[int, float]] = []
    competitions = 0
    reachable = len(graph.components()[0])
    for start in _starts(model, config, focal_ratio):
        settled = int(best.model.placed.sum()) >= reachable and explains(best, graph, tracks)
        thorough = not settled and competitions < MAX_COMPETITIONS
        competitions += thorough
        solution = _solve_start(start, graph, tracks, config, seed=seed, thorough=thorough)
        placed = int(solution.model.placed.sum())
        if placed < 2:
            continue
        cost = explained_cost(solution, tracks, config)
        logger.debug(
            "focal start %.0f px: %d views, cost %.1f, focal %.0f px",
            start.focal[0, 0], placed, cost, solution.model.focal[0, 0],
        )  # fmt: skip
        if cost < best_cost:
            best, best_cost = solution, cost
        answers.append((placed, float(np.log(solution.model.focal).mean())))
        top = float(np.log(best.model.focal).mean())
        most = int(best.model.placed.sum())
        same = [a for a in answers if a[0] == most and abs(a[1] - top) < SAME_FOCAL]
        if len(same) >= CONFIRMATIONS + (most < reachable):
            break
    return best


def _starts(model: Model, config: CameraConfig, focal_ratio: float | None) -> list[Model]:
    """The intrinsics to begin with: EXIF's where known, then one ratio after the other; one start if all are known."""
    free = model.intrinsics_free
    if not free.any():
        return [model]
    if focal_ratio is not None:
        return [model.with_focal_ratio(ratio) for ratio in (focal_ratio, config.focal_ratios[0])]
    starts = []
    has_exif = free & np.isfinite(model.exif_focal)
    for ratio in config.focal_ratios:
        start = model.with_focal_ratio(ratio)
        if has_exif.any():
            focal = np.where(has_exif[:, None], model.exif_focal[:, None], start.focal)
            starts.append(Model(**{**vars(start), "focal": focal}))
    starts = starts[:1] if has_exif.sum() == free.sum() else starts
    return starts + [model.with_focal_ratio(ratio) for ratio in config.focal_ratios]


def _solve_start(
    start: Model, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int, thorough: bool
) -> Solution:
    """The mapper's answer; where it leaves views or matches unexplained, our own assembly competes with it.

    Args:
        thorough: otherwise the mapper's answer alone, to confirm one that another start gave.
    """
    best, best_cost = Solution(start, _nothing(tracks), {}), np.inf
    mapped = start.with_poses(map_incrementally(start, graph, config, seed=seed))
    if mapped.placed.sum() >= 2:
        solution = registration.refine(mapped, tracks, config)
        if not thorough:
            return solution
        best = assembly.add_missing(solution, graph, tracks, config, seed=seed)
        best_cost = explained_cost(best, tracks, config)
        if best.model.placed.sum() >= len(graph.components()[0]) and explains(best, graph, tracks):
            return best
    if not thorough:
        return best
    for pair_start in registration.start_from_pairs(start, graph, config, seed=seed):
        solution = registration.refine(pair_start, tracks, config, hold_focal=True, rounds=registration.GROWING_ROUNDS)
        solution = assembly.add_missing(solution, graph, tracks, config, seed=seed, hold_focal=True)
        solution = registration.refine(solution.model, tracks, config)
        cost = explained_cost(solution, tracks, config)
        if cost < best_cost:
            best, best_cost = solution, cost
    return best


def _nothing(tracks: Tracks) -> registration.Structure:
    return registration.Structure(np.full((tracks.count, 3), np.nan), np.zeros(len(tracks.views), bool))
