"""Photos turned in their plane for XFeat, which does not know a thing again that lies on its side: cameras held upright and across,
or looking down from several sides. SIFT turns its descriptors by itself."""

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.features import Features, describe_turned
from sparse3d.priors.stereo.matching import match_features
from sparse3d.priors.stereo.two_view import MatchGraph, Pair, keep_first, verify

logger = logging.getLogger(__name__)

WELL_LINKED = 60
"""Photos that pairs of this many matches link, also through others, are taken to stand the same way up."""

MIN_TURNED = 40
"""Matches from which a turn is believed: of 18 pairs of photos turned on purpose, the right turn gave 51 and more, wrong ones 35 at
most in all but one, which gave 79 beside the right one's 222."""

CLEARLY_MORE = 2.0
"""How many times the matches of every other turn the right one must have."""


def link_by_turns(images: ImageSet, graph: MatchGraph, config: CameraConfig) -> MatchGraph:
    """The graph with further XFeat matches between photos that hardly any link, found by turning one of the two.

    Args:
        graph: with the features that its keypoints came from.

    Returns:
        The same keypoints; pairs that a turn explains clearly better have its matches, too. The same graph where it has no
        XFeat keypoints.
    """
    kinds = [f.kind for f in graph.features[0]]
    if "xfeat" not in kinds:
        return graph
    kind = kinds.index("xfeat")
    looks: dict[tuple[int, int], Features] = {}

    def look(view: int, turns: int) -> Features:
        if (view, turns) not in looks:
            upright = graph.features[view][kind]
            looks[view, turns] = describe_turned(images, images.photos[view], upright, turns, config)
        return looks[view, turns]

    first_row = np.array([sum(len(f) for f in features[:kind]) for features in graph.features])
    # SIFT's matches say nothing of whether XFeat's photos stand the same way up; many of its few are chance.
    own = {(p.i, p.j): int((p.matches[:, 0] >= first_row[p.i]).sum()) for p in graph.pairs}
    pairs = {(p.i, p.j): p for p in graph.pairs}
    for i, j in _hardly_linked(graph, own):
        found = []
        for turns in (1, 2, 3):
            putative = match_features([graph.features[i][kind]], [look(j, turns)])
            found.append(_verified(graph, i, j, putative + first_row[[i, j]], config))
        best = max(found, key=lambda p: len(p.matches))
        others = max(own.get((i, j), 0), *(len(p.matches) for p in found if p is not best))
        if len(best.matches) < max(MIN_TURNED, CLEARLY_MORE * others):
            continue
        logger.debug("photos %d and %d: %d matches where one is turned", i, j, len(best.matches))
        both = [p.matches for p in (best, pairs.get((i, j))) if p is not None]
        pairs[i, j] = _verified(graph, i, j, np.concatenate(both), config)
    rejected = tuple(r for r in graph.rejected if r[:2] not in pairs)
    return replace(graph, pairs=tuple(pairs[key] for key in sorted(pairs)), rejected=rejected)


def _verified(graph: MatchGraph, i: int, j: int, putative: Int[ndarray, "m 2"], config: CameraConfig) -> Pair:
    inliers, fundamental = verify(
        graph.pixels[i], graph.pixels[j], keep_first(putative), (graph.scales[i], graph.scales[j]), config
    )
    return Pair(i, j, inliers, fundamental)


def _hardly_linked(graph: MatchGraph, own: dict[tuple[int, int], int]) -> Iterator[tuple[int, int]]:
    """Pairs of photos that strong pairs do not link, not even through others.

    Args:
        own: the XFeat matches of each pair.
    """
    strong = replace(graph, pairs=tuple(p for p in graph.pairs if own[p.i, p.j] >= WELL_LINKED))
    group = {view: number for number, views in enumerate(strong.components()) for view in views}
    for i in range(len(graph.pixels)):
        for j in range(i + 1, len(graph.pixels)):
            if group[i] != group[j]:
                yield i, j
