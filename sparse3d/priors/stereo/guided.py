"""Further matches along the epipolar lines of cameras that are found: where a photo shows many alike things, the one on the
line is the right one (Hartley and Zisserman 2004, section 11.6)."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from sparse3d.priors.stereo.features import Features
from sparse3d.priors.stereo.known import essential_of
from sparse3d.priors.stereo.model import Model, normalise
from sparse3d.priors.stereo.two_view import MatchGraph, Pair, keep_first, sampson_px

BAND_PX = 3.0
"""Distance from the epipolar line in matching pixels: the keypoints' own error and that of cameras from few matches."""

RATIO = 0.85
"""Lowe's ratio among the candidates on the line."""

MAX_DISTANCE = 0.75
"""Between unit descriptors: farther apart they show different things, whatever their rivals."""

ENOUGH_MATCHES = 300
"""A pair with more verified matches gains nothing from further ones."""

MAX_PAIRS_A_VIEW = 3
"""Pairs tried for each view, those with the most in common first: the work grows with the square of the views."""

MIN_GUIDED = 8
"""Fewer new matches than this in a pair are chance."""


def rematch(graph: MatchGraph, model: Model) -> MatchGraph:
    """The graph with further matches between placed views, and without those of its own that contradict their cameras.

    Args:
        graph: with the features that its keypoints came from.
    """
    pairs = {(p.i, p.j): p for p in graph.pairs}
    placed = np.flatnonzero(model.placed).tolist()
    for i, j in _worth_trying(graph, placed):
        old = pairs.get((i, j))
        found = _along_lines(graph, model, i, j)
        kept = np.zeros((0, 2), np.int64) if old is None else old.matches
        kept = kept[_errors_px(graph, model, i, j, kept) < 2 * BAND_PX]
        joined = keep_first(np.concatenate([kept, found]))
        if len(joined) - len(kept) >= MIN_GUIDED:
            pairs[i, j] = Pair(i, j, joined, np.zeros((3, 3)) if old is None else old.fundamental)
    return replace(graph, pairs=tuple(pairs[key] for key in sorted(pairs)))


def _worth_trying(graph: MatchGraph, placed: list[int]) -> list[tuple[int, int]]:
    """Pairs of placed views with something, but not enough, in common: matches of their own or with a third view."""
    count = graph.match_counts()
    linked = np.minimum(count, ENOUGH_MATCHES)
    through_third = np.sqrt(linked @ linked)
    chosen = set()
    for i in placed:
        worth = [(count[i, j] + through_third[i, j], j) for j in placed if j != i and count[i, j] < ENOUGH_MATCHES]
        chosen |= {(min(i, j), max(i, j)) for value, j in sorted(worth, reverse=True)[:MAX_PAIRS_A_VIEW] if value > 0}
    return sorted(chosen)


def _along_lines(graph: MatchGraph, model: Model, i: int, j: int) -> Int[ndarray, "m 2"]:
    """Mutual best descriptors among the keypoints near one another's epipolar line, kind by kind."""
    parts, offset = [np.zeros((0, 2), np.int64)], np.zeros(2, np.int64)
    for a, b in zip(graph.features[i], graph.features[j], strict=True):
        if min(len(a), len(b)) >= 2:
            parts.append(_best_on_line(graph, model, (i, j), (a, b)) + offset)
        offset = offset + np.array([len(a), len(b)])
    return np.concatenate(parts)


def _best_on_line(
    graph: MatchGraph, model: Model, views: tuple[int, int], features: tuple[Features, Features]
) -> Int[ndarray, "m 2"]:
    a, b = (_rays(model, view, f.pixels) for view, f in zip(views, features, strict=True))
    essential = torch.from_numpy(essential_of(model, *views)).float()
    lines_b, lines_a = a @ essential.T, b @ essential
    first, second = (torch.from_numpy(f.descriptors) for f in features)
    similarity = first @ second.T
    # Sampson's distance of every keypoint of one photo to every one of the other.
    square = (lines_b[:, :2] ** 2).sum(1)[:, None] + (lines_a[:, :2] ** 2).sum(1)[None]
    near = (lines_b @ b.T) ** 2 < square * (BAND_PX / _pixels_per_ray(graph, model, *views)) ** 2
    similarity = torch.where(near, similarity, -1.0)
    best, index = similarity.topk(2, dim=1)
    back = similarity.argmax(dim=0)
    rows = torch.arange(len(index))
    distance = (2 - 2 * best).clamp_min(0).sqrt()
    good = (back[index[:, 0]] == rows) & (distance[:, 0] < RATIO * distance[:, 1]) & (distance[:, 0] < MAX_DISTANCE)
    return torch.stack([rows[good], index[good, 0]], dim=1).numpy()


def _rays(model: Model, view: int, pixels: Float[ndarray, "n 2"]) -> torch.Tensor:
    xy = normalise(model, np.full(len(pixels), view), pixels)
    return torch.from_numpy(np.concatenate([xy, np.ones((len(xy), 1))], 1)).float()


def _pixels_per_ray(graph: MatchGraph, model: Model, i: int, j: int) -> float:
    """Matching pixels in a unit of normalised coordinates, the mean of both views."""
    return float(np.mean([model.focal[v].mean() / graph.scales[v] for v in (i, j)]))


def _errors_px(graph: MatchGraph, model: Model, i: int, j: int, matches: Int[ndarray, "m 2"]) -> Float[ndarray, " m"]:
    """Sampson errors of matches under the cameras, in matching pixels."""
    a, b = (
        normalise(model, np.full(len(matches), view), graph.pixels[view][matches[:, column]])
        for view, column in ((i, 0), (j, 1))
    )
    return sampson_px(essential_of(model, i, j), a, b) * _pixels_per_ray(graph, model, i, j)
