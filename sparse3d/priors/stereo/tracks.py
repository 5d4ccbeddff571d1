"""Tracks: one scene point's keypoints over all photos, from pairwise matches."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sparse3d.priors.stereo.two_view import MatchGraph


@dataclass(frozen=True)
class Tracks:
    """Observations of scene points, sorted by point.

    Attributes:
        views: the photo of each observation.
        points: the point of each observation, numbered from 0 without gaps.
        pixels: (x, y) in the full-size photo.
        sigmas: standard deviation of the observation in full-size pixels.
        count: number of points.
    """

    views: Int[ndarray, " o"]
    points: Int[ndarray, " o"]
    pixels: Float[ndarray, "o 2"]
    sigmas: Float[ndarray, " o"]
    count: int

    def select(self, keep: Bool[ndarray, " o"]) -> "Tracks":
        """Some of the observations; the points keep their numbers."""
        return Tracks(self.views[keep], self.points[keep], self.pixels[keep], self.sigmas[keep], self.count)

    def lengths(self) -> Int[ndarray, " p"]:
        """Observations of each point."""
        return np.bincount(self.points, minlength=self.count)


def build_tracks(graph: MatchGraph) -> Tracks:
    """Join the pairs' matches to tracks.

    A track that holds two keypoints of one photo contradicts itself: all of its keypoints in such photos are dropped,
    and the track with them where fewer than two photos are left.
    """
    offsets = np.cumsum([0, *(len(p) for p in graph.pixels)])
    total = int(offsets[-1])
    edges = [p.matches + np.array([offsets[p.i], offsets[p.j]]) for p in graph.pairs]
    if not edges or total == 0:
        empty = np.zeros(0, np.int64)
        return Tracks(empty, empty, np.zeros((0, 2)), np.zeros(0), 0)
    links = np.concatenate(edges)
    matrix = coo_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(total, total))
    _, label = connected_components(matrix, directed=False)
    view_of = np.repeat(np.arange(len(graph.pixels)), np.diff(offsets))
    key = label.astype(np.int64) * len(graph.pixels) + view_of
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    keep = counts[inverse] == 1
    keep &= np.bincount(label, weights=keep, minlength=label.max() + 1)[label] >= 2
    nodes = np.flatnonzero(keep)
    nodes = nodes[np.argsort(label[nodes], kind="stable")]
    _, points = np.unique(label[nodes], return_inverse=True)
    pixels, sigmas = np.concatenate(graph.pixels), np.concatenate(graph.sigmas)
    return Tracks(view_of[nodes], points, pixels[nodes], sigmas[nodes], int(points.max(initial=-1)) + 1)
