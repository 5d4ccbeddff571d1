"""Scenes that must not be believed: photos that all look from one place, and views that most of their matches contradict."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo.attempt import Attempt
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.evidence import view_shares
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
    """Without the views, of free pose, that most of their matches contradict: the worst first, the others refined after each."""
    while found.placed > 2:
        model = found.solution.model
        shares = view_shares(found.solution, found.graph, found.tracks)
        shares[~(model.placed & model.pose_free)] = np.inf
        worst = int(np.argmin(np.nan_to_num(shares, nan=np.inf)))
        if not shares[worst] < CONTRADICTED_SHARE:
            break
        poses = model.cam_from_world.copy()
        poses[worst] = np.nan
        found = replace(found, solution=refine(model.with_poses(poses), found.tracks, config))
    return found
