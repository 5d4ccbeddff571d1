"""From photos to the graph of verified matches: detect once a photo, match and verify every pair."""

import logging
from collections.abc import Sequence

import numpy as np

from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.features import SIGMA_PX, FeatureKind, detect_all
from sparse3d.priors.stereo.known import essential_of
from sparse3d.priors.stereo.matching import keypoint_table, match_features
from sparse3d.priors.stereo.model import Model, normalise
from sparse3d.priors.stereo.two_view import MatchGraph, Pair, sampson_px, verify

logger = logging.getLogger(__name__)


def build_graph(images: ImageSet, kinds: Sequence[FeatureKind], model: Model, config: CameraConfig) -> MatchGraph:
    """Match all pairs of photos.

    Args:
        model: where both cameras of a pair are given and held fixed, their epipolar geometry says which matches count
            (unless hardly any agrees with it).
    """
    features = detect_all(images, kinds, config)
    tables = [keypoint_table(f, SIGMA_PX) for f in features]
    scales = tuple(f[0].scale for f in features)
    pixels = tuple(t[0] for t in tables)
    pairs, rejected = [], []
    for i in range(len(images)):
        for j in range(i + 1, len(images)):
            putative = match_features(features[i], features[j])
            inliers, fundamental = verify(pixels[i], pixels[j], putative, (scales[i], scales[j]), config)
            guided = _by_given_cameras(model, (i, j), pixels, putative, scales, config)
            if len(guided) > len(inliers) / 2:
                inliers = guided
            logger.debug("photos %d and %d: %d of %d matches verified", i, j, len(inliers), len(putative))
            if len(inliers) >= config.min_matches:
                pairs.append(Pair(i, j, inliers, fundamental))
            else:
                rejected.append((i, j, len(inliers)))
    sigmas = tuple(t[1] for t in tables)
    return MatchGraph(pixels, sigmas, scales, tuple(pairs), tuple(rejected), tuple(tuple(f) for f in features))


def _by_given_cameras(
    model: Model,
    views: tuple[int, int],
    pixels: Sequence[np.ndarray],
    putative: np.ndarray,
    scales: Sequence[float],
    config: CameraConfig,
) -> np.ndarray:
    """Matches that lie on the epipolar lines of two fixed cameras; none where either is not fixed."""
    picked = list(views)
    if not model.placed[picked].all() or model.pose_free[picked].any() or model.intrinsics_free[picked].any():
        return np.zeros((0, 2), np.int64)
    rays = [normalise(model, np.full(len(putative), v), pixels[v][putative[:, c]]) for c, v in enumerate(picked)]
    per_ray = np.mean([model.focal[v].mean() / scales[v] for v in picked])
    errors = sampson_px(essential_of(model, *views), rays[0], rays[1]) * per_ray
    return putative[errors < config.max_error_px]


def combine(first: MatchGraph, second: MatchGraph) -> MatchGraph:
    """One graph over two kinds of keypoints of the same photos; each kind's matches were verified by themselves."""
    offsets = [len(p) for p in first.pixels]
    found = [{(p.i, p.j): p for p in graph.pairs} for graph in (first, second)]
    pairs, rejected = [], []
    for i in range(len(first.pixels)):
        for j in range(i + 1, len(first.pixels)):
            a, b = (pairs_of.get((i, j)) for pairs_of in found)
            shifted = [] if a is None else [a.matches]
            if b is not None:
                shifted.append(b.matches + np.array([offsets[i], offsets[j]]))
            best = max((p for p in (a, b) if p is not None), key=lambda p: len(p.matches), default=None)
            if best is None:
                counts = [n for graph in (first, second) for (x, y, n) in graph.rejected if (x, y) == (i, j)]
                rejected.append((i, j, max(counts, default=0)))
            else:
                pairs.append(Pair(i, j, np.concatenate(shifted), best.fundamental))
    return MatchGraph(
        pixels=tuple(np.concatenate(p) for p in zip(first.pixels, second.pixels, strict=True)),
        sigmas=tuple(np.concatenate(s) for s in zip(first.sigmas, second.sigmas, strict=True)),
        scales=first.scales,
        pairs=tuple(pairs),
        rejected=tuple(rejected),
        features=tuple(a + b for a, b in zip(first.features, second.features, strict=True)),
    )
