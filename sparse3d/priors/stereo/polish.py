"""The last accuracy of cameras that are found: further matches along their epipolar lines, and patches aligned."""

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
from sparse3d.priors.stereo.tracks import Tracks, build_tracks

logger = logging.getLogger(__name__)


def polish(found: Attempt, images: ImageSet, config: CameraConfig) -> Attempt:
    """Cameras and points from better observations; what was found stays where these contradict it.

    Args:
        found: with at least two placed views.
    """
    pictures = load_matching_images(images, config.max_side)
    best = found
    for improve in (_align, _rematch_and_align):
        rival = improve(best, found, pictures, config)
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
