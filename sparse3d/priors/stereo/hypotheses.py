"""Cameras from nothing: several focal lengths are tried, and the model that explains the matches best is kept."""

import logging

import numpy as np

from sparse3d.priors.stereo import assembly, bundle, registration
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.mapper import map_incrementally
from sparse3d.priors.stereo.model import Model, residuals_px
from sparse3d.priors.stereo.normal_equations import CAUCHY_SIGMAS, temper
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import MAX_SIGMAS
from sparse3d.priors.stereo.two_view import MatchGraph

logger = logging.getLogger(__name__)

SAME_FOCAL = 0.02
"""Hypotheses that end within this fraction of one another are the same answer."""

GOOD_SHARE, GOOD_PAIR_SHARE = 0.85, 0.5
"""Share of all observations, or of every pair's, that a scene must explain to be taken without a competitor."""

CONFIRMATIONS = 2
"""Starts that must end at the same answer before the others are skipped; one more where a connected view is missing."""

UNPLACED_PRICE = 20.0
"""Cost of leaving a view out, on top of its unexplained matches: about that of a dozen outliers, so that a view is kept
where the evidence is balanced and dropped where placing it spoils the others."""


def solve_from_matches(model: Model, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int) -> Solution:
    """Place all views that can be placed, with known intrinsics held and unknown ones found.

    Returns:
        The best solution over the focal hypotheses; with no view placed where nothing fits.
    """
    best, best_cost = Solution(model, _nothing(tracks), {}), np.inf
    answers: list[tuple[int, float]] = []
    reachable = len(graph.components()[0])
    for start in _starts(model, config):
        solution = _solve_start(start, graph, tracks, config, seed=seed)
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


def _starts(model: Model, config: CameraConfig) -> list[Model]:
    """The intrinsics to begin with: EXIF's where known, then one ratio after the other; one start if all are known."""
    free = model.intrinsics_free
    if not free.any():
        return [model]
    starts = []
    has_exif = free & np.isfinite(model.exif_focal)
    for ratio in config.focal_ratios:
        start = model.with_focal_ratio(ratio)
        if has_exif.any():
            focal = np.where(has_exif[:, None], model.exif_focal[:, None], start.focal)
            starts.append(Model(**{**vars(start), "focal": focal}))
    starts = starts[:1] if has_exif.sum() == free.sum() else starts
    return starts + [model.with_focal_ratio(ratio) for ratio in config.focal_ratios]


def _solve_start(start: Model, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int) -> Solution:
    """The mapper's answer; where it leaves views or matches unexplained, our own assembly competes with it."""
    best, best_cost = Solution(start, _nothing(tracks), {}), np.inf
    mapped = start.with_poses(map_incrementally(start, graph, config, seed=seed))
    if mapped.placed.sum() >= 2:
        solution = registration.refine(mapped, tracks, config)
        best = assembly.add_missing(solution, graph, tracks, config, seed=seed)
        best_cost = explained_cost(best, tracks, config)
        if best.model.placed.sum() >= len(graph.components()[0]) and _explains(best, graph, tracks):
            return best
    for pair_start in registration.start_from_pairs(start, graph, config, seed=seed):
        solution = registration.refine(pair_start, tracks, config, hold_focal=True, rounds=registration.GROWING_ROUNDS)
        solution = assembly.add_missing(solution, graph, tracks, config, seed=seed, hold_focal=True)
        solution = registration.refine(solution.model, tracks, config)
        cost = explained_cost(solution, tracks, config)
        if cost < best_cost:
            best, best_cost = solution, cost
    return best


def _explains(solution: Solution, graph: MatchGraph, tracks: Tracks) -> bool:
    """Whether most observations agree with the scene, over all or in each pair of photos."""
    inlier = solution.structure.inlier
    if inlier.mean() >= GOOD_SHARE:
        return True
    table = np.zeros((tracks.count, len(graph.pixels)), np.int8)
    table[tracks.points, tracks.views] = np.where(inlier, 2, 1)
    shares = []
    for pair in graph.pairs:
        both = (table[:, pair.i] > 0) & (table[:, pair.j] > 0)
        good = (table[:, pair.i] == 2) & (table[:, pair.j] == 2)
        shares.append(good.sum() / max(both.sum(), 1))
    return min(shares, default=0.0) >= GOOD_PAIR_SHARE


def _nothing(tracks: Tracks) -> registration.Structure:
    return registration.Structure(np.full((tracks.count, 3), np.nan), np.zeros(len(tracks.views), bool))


def explained_cost(solution: Solution, tracks: Tracks, config: CameraConfig) -> float:
    """How badly a solution explains all matches: robust reprojection cost, a fixed price an unexplained observation and
    an unplaced view, and the priors of the intrinsics. Comparable between solutions over the same tracks."""
    model, structure = solution.model, solution.structure
    price = CAUCHY_SIGMAS**2 * np.log1p((MAX_SIGMAS / CAUCHY_SIGMAS) ** 2)
    cost = np.full(len(tracks.views), price)
    use = structure.inlier
    residual, _ = residuals_px(model, tracks.views[use], structure.points[tracks.points[use]], tracks.pixels[use])
    square = (residual**2).sum(1) / (tracks.sigmas[use] * CAUCHY_SIGMAS) ** 2
    cost[use] = np.minimum(price, CAUCHY_SIGMAS**2 * np.log1p(square))
    data = 0.5 * float((temper(tracks)[tracks.views] * cost).sum())
    return data + bundle.prior_cost(model, config) + UNPLACED_PRICE * int((~model.placed).sum())
