"""Scenes that must not be believed: photos that all look from one place, and views that most of their matches contradict."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from sparse3d.priors.stereo.attempt import Attempt
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.evidence import pair_shares, view_shares
from sparse3d.priors.stereo.model import Model, normalise
from sparse3d.priors.stereo.registration import refine
from sparse3d.priors.stereo.two_view import MatchGraph, Pair

TURNED_PX = 1.5
"""Median error, in matching pixels, of matches that a mere turn of the camera explains. Of 14 photo sets taken from different
places, the pair with the most parallax had 17 at least; photos taken from one place have 0.1 to 0.5, and lens distortion adds."""

CONTRADICTED_SHARE = 0.5
"""A view that agrees with less of its matches does not belong: right ones agreed with 82 % and more on the same sets, a mirrored
photo with a third."""

USUAL_RATIOS = 3
"""Focal lengths tried beside the one found, the most usual ones: to a long lens a shift along a wall looks like a turn."""

TURN_STEPS = 10


def turned_in_place(graph: MatchGraph, model: Model, config: CameraConfig) -> bool:
    """Whether turning the camera in one place explains the matches of every pair, for the model's or a usual focal length."""
    if not graph.pairs:
        return False
    trials = [model, *(model.with_focal_ratio(ratio) for ratio in config.focal_ratios[:USUAL_RATIOS])]
    return any(all(_turn_error_px(graph, trial, pair) < TURNED_PX for pair in graph.pairs) for trial in trials)


def _turn_error_px(graph: MatchGraph, model: Model, pair: Pair) -> float:
    """Median distance, in matching pixels, between one photo's keypoints turned into the other and their matches."""
    a, b = (
        _directions(model, view, graph.pixels[view][pair.matches[:, column]])
        for view, column in ((pair.i, 0), (pair.j, 1))
    )
    per_ray = float(np.mean([model.focal[v].mean() / graph.scales[v] for v in (pair.i, pair.j)]))
    errors, weight = np.zeros(len(a)), np.ones(len(a))
    for _ in range(TURN_STEPS):
        # The rotation of least squares (Arun et al. 1987), outliers losing weight.
        u, _, vt = np.linalg.svd((b * weight[:, None]).T @ a)
        rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        errors = np.linalg.norm(b - a @ rotation.T, axis=1) * per_ray
        weight = 1 / (1 + (errors / TURNED_PX) ** 2)
    return float(np.median(errors))


def _directions(model: Model, view: int, pixels: Float[ndarray, "n 2"]) -> Float[ndarray, "n 3"]:
    xy = normalise(model, np.full(len(pixels), view), pixels)
    ray = np.concatenate([xy, np.ones((len(xy), 1))], 1)
    return ray / np.linalg.norm(ray, axis=1, keepdims=True)


def drop_contradicted(found: Attempt, config: CameraConfig) -> Attempt:
    """Without the views, of free pose, that most of their matches contradict: the worst first, the others refined after each;
    and without groups of views that agree among themselves but not with the others."""
    while found.placed > 2:
        out = _worst_view(found)
        if not out.any():
            out = _worst_group(found)
        if not out.any():
            break
        poses = np.where(out[:, None, None], np.nan, found.solution.model.cam_from_world)
        found = replace(found, solution=refine(found.solution.model.with_poses(poses), found.tracks, config))
    return found


def _worst_view(found: Attempt) -> Bool[ndarray, " view"]:
    """The view of free pose that agrees with the least of its matches, where that is too little."""
    model = found.solution.model
    shares = view_shares(found.solution, found.graph, found.tracks)
    shares[~(model.placed & model.pose_free)] = np.inf
    worst = int(np.argmin(np.nan_to_num(shares, nan=np.inf)))
    return (np.arange(len(shares)) == worst) & bool(shares[worst] < CONTRADICTED_SHARE)


def _worst_group(found: Attempt) -> Bool[ndarray, " view"]:
    """Of the groups of views that agreeing pairs join, all but the largest, the one that agrees with the least of its matches
    with views outside it, where that is too little. Each of its views may agree with most of its own matches: those with its
    like."""
    model, graph = found.solution.model, found.graph
    placed = model.placed
    pairs = [
        (p, float(share))
        for p, share in zip(graph.pairs, pair_shares(found.solution, graph, found.tracks), strict=True)
        if placed[p.i] and placed[p.j]
    ]
    agreeing = replace(graph, pairs=tuple(p for p, share in pairs if share >= CONTRADICTED_SHARE))
    groups = [g for g in agreeing.components() if placed[g].all()]
    worst, least = np.zeros(len(placed), bool), CONTRADICTED_SHARE
    for group in groups[1:]:
        inside = np.isin(np.arange(len(placed)), group)
        across = [(len(p.matches), share) for p, share in pairs if inside[p.i] != inside[p.j]]
        if not across or not model.pose_free[group].all():
            continue
        share = sum(n * s for n, s in across) / sum(n for n, _ in across)
        if share < least:
            worst, least = inside, share
    return worst
