"""How well a scene explains the matches: what candidates compete by."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo import bundle
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import residuals_px
from sparse3d.priors.stereo.normal_equations import CAUCHY_SIGMAS, temper
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import MAX_SIGMAS
from sparse3d.priors.stereo.two_view import MatchGraph

GOOD_SHARE, GOOD_PAIR_SHARE = 0.85, 0.5
"""Share of all observations, or of every pair's, that a scene must explain to be taken without a competitor."""

UNPLACED_PRICE = 20.0
"""Cost of leaving a view out, on top of its unexplained matches: about that of a dozen outliers, so that a view is kept
where the evidence is balanced and dropped where placing it spoils the others."""


def explains(solution: Solution, graph: MatchGraph, tracks: Tracks) -> bool:
    """Whether most observations agree with the scene, over all or in each pair of photos."""
    if solution.structure.inlier.mean() >= GOOD_SHARE:
        return True
    return bool(min(pair_shares(solution, graph, tracks), default=0.0) >= GOOD_PAIR_SHARE)


def pair_shares(solution: Solution, graph: MatchGraph, tracks: Tracks) -> Float[ndarray, " pair"]:
    """Of each pair's tracks, the share that agrees with the scene in both photos; 0 where it has none."""
    inlier = solution.structure.inlier
    table = np.zeros((tracks.count, len(graph.pixels)), np.int8)
    table[tracks.points, tracks.views] = np.where(inlier, 2, 1)
    shares = []
    for pair in graph.pairs:
        both = (table[:, pair.i] > 0) & (table[:, pair.j] > 0)
        good = (table[:, pair.i] == 2) & (table[:, pair.j] == 2)
        shares.append(good.sum() / max(both.sum(), 1))
    return np.array(shares)


def view_shares(solution: Solution, graph: MatchGraph, tracks: Tracks) -> Float[ndarray, " view"]:
    """Of each view's matches with placed views, the share that agrees with the scene; NaN where it has none."""
    shares, placed = pair_shares(solution, graph, tracks), solution.model.placed
    agreeing, matched = np.zeros(len(placed)), np.zeros(len(placed))
    for share, pair in zip(shares, graph.pairs, strict=True):
        if placed[pair.i] and placed[pair.j]:
            for view in (pair.i, pair.j):
                agreeing[view] += share * len(pair.matches)
                matched[view] += len(pair.matches)
    return np.where(matched > 0, agreeing / np.maximum(matched, 1), np.nan)


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
