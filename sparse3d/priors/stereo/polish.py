"""The last accuracy of cameras that are found: patches aligned, further matches along epipolar lines, and points of two photos
looked for in a third."""

import logging
import operator
from dataclasses import replace

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.attempt import Attempt, keeps
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.guided import rematch
from sparse3d.priors.stereo.patch_alignment import MatchingImages, align_tracks, load_matching_images
from sparse3d.priors.stereo.registration import GROWING_ROUNDS, refine
from sparse3d.priors.stereo.track_extension import extend_tracks
from sparse3d.priors.stereo.tracks import Tracks, build_tracks
from sparse3d.priors.stereo.triangulation import Structure

logger = logging.getLogger(__name__)


EXTENSIONS = 2
"""Rounds of looking for points in further photos: the second one finds what the first one's cameras missed."""


def polish(found: Attempt, images: ImageSet, config: CameraConfig, *, seed: int) -> Attempt:
    """Cameras and points from better observations; what was found stays where these contradict it.

    Args:
        found: with at least two placed views.
    """
    pictures = load_matching_images(images, config.max_side)
    steps = [
        lambda best: _align(best, found, pictures, config),
        lambda best: _rematch_and_align(best, found, pictures, config),
        *EXTENSIONS * [lambda best: _extend(best, pictures, config, seed)],
    ]
    best = found
    for step in steps:
        rival = step(best)
        if rival.placed < found.placed or not keeps(found, rival, config):
            logger.info("better placed matches contradict the cameras found: keeping these")
            continue
        best = rival
    return best


def _align(best: Attempt, found: Attempt, pictures: MatchingImages, config: CameraConfig) -> Attempt:
    """The same matches, placed better."""
    tracks, _ = align_tracks(pictures, best.solution.model, best.solution.structure, found.tracks)
    return Attempt(found.graph, tracks, refine(best.solution.model, tracks, config))


def _rematch_and_align(best: Attempt, found: Attempt, pictures: MatchingImages, config: CameraConfig) -> Attempt:
    """Further matches along epipolar lines, of which those count whose patches fit."""
    graph = rematch(found.graph, best.solution.model)
    if len(graph.pairs) == len(found.graph.pairs) and all(map(operator.is_, graph.pairs, found.graph.pairs)):
        return best
    tracks = build_tracks(graph)
    rough = refine(best.solution.model, tracks, config, rounds=GROWING_ROUNDS)
    moved, aligned = align_tracks(pictures, rough.model, rough.structure, tracks)
    moved = _without_lonely(moved.select(aligned | _among(tracks, found.tracks)))
    return Attempt(graph, moved, refine(rough.model, moved, config))


def _extend(best: Attempt, pictures: MatchingImages, config: CameraConfig, seed: int) -> Attempt:
    """Points of two photos found in further ones; new observations that do not agree with the scene are forgotten."""
    tracks, new = extend_tracks(pictures, best.solution.model, best.solution.structure, best.tracks, seed=seed)
    if not new.any():
        return best
    solution = refine(best.solution.model, tracks, config)
    keep = solution.structure.inlier | ~new
    structure = Structure(solution.structure.points, solution.structure.inlier[keep])
    return Attempt(best.graph, tracks.select(keep), replace(solution, structure=structure))


def _among(tracks: Tracks, others: Tracks) -> Bool[ndarray, " o"]:
    """Which observations are observations of other tracks, too."""

    def keys(t: Tracks) -> list[tuple[int, float, float]]:
        return list(zip(t.views.tolist(), *t.pixels.T.tolist(), strict=True))

    known = set(keys(others))
    return np.array([key in known for key in keys(tracks)], bool)


def _without_lonely(tracks: Tracks) -> Tracks:
    """Tracks of two observations and more, numbered without gaps."""
    tracks = tracks.select(tracks.lengths()[tracks.points] >= 2)
    numbers, points = np.unique(tracks.points, return_inverse=True)
    return replace(tracks, points=points, count=len(numbers))
