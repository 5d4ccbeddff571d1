"""Points that two photos show, looked for in the others: points seen by three photos fix the cameras' distances from one another,
and wide baselines leave few that detectors find three times."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from sparse3d.priors.stereo.model import Model, project
from sparse3d.priors.stereo.patch_alignment import (
    RADIUS,
    MatchingImages,
    align_facets,
    correlate,
    facets_between,
    towards_camera,
)
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import Structure

ENOUGH_SHARED = 150
"""Observations in a view of points that two others see, from which on no further ones are looked for."""

MAX_SEARCHED = 400
"""Points looked for in a view at most, spread over those that should be there."""

SEARCH_PX, SEARCH_STEP_PX = 12, 2
"""How far around its projection a point is looked for, and how densely, in matching pixels: patches still overlap by nine
tenths from one trial to the next."""

MAX_ANGLE_DEG = 50.0
"""Between the rays to two cameras: beyond it a patch looks different."""

MIN_FOUND_CORRELATION, MIN_LEAD = 0.7, 0.05
"""Correlation of the best place before it is aligned, and its lead over places that do not overlap it."""


@dataclass(frozen=True)
class _Sought:
    """Points to look for: which, in which view, and the observation that shows what they look like."""

    points: Int[ndarray, " m"]
    views: Int[ndarray, " m"]
    shown: Int[ndarray, " m"]


def extend_tracks(
    pictures: MatchingImages, model: Model, structure: Structure, tracks: Tracks, *, seed: int
) -> tuple[Tracks, Bool[ndarray, " o"]]:
    """Further observations of points that agree with the scene, in placed views that have few of points seen by two others.

    Returns:
        The tracks sorted by point, and which observations are new.
    """
    seen = tracks.select(structure.inlier)
    parts = [_sought_in(model, seen, structure, view, seed) for view in np.flatnonzero(model.placed).tolist()]
    sought = _Sought(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("points", "views", "shown")))
    if len(sought.points) == 0:
        return tracks, np.zeros(len(tracks.views), bool)
    views = np.stack([seen.views[sought.shown], sought.views], 1)
    xyz = structure.points[sought.points]
    facets = facets_between(pictures, model, views, seen.pixels[sought.shown], xyz)
    guess, _ = project(model, sought.views, xyz)
    scales = np.array(pictures.scales)[sought.views]
    offsets = np.arange(-SEARCH_PX, SEARCH_PX + 1, SEARCH_STEP_PX)
    grid = np.stack(np.meshgrid(offsets, offsets), -1).reshape(-1, 2)
    trials = np.stack([correlate(pictures, facets, guess + o * scales[:, None]) for o in grid], 1)
    best = trials.argmax(1)
    apart = np.abs(grid[:, None] - grid[None]).max(-1) > RADIUS / 2
    rival = np.where(apart[best], trials, -1).max(1)
    peak = trials.max(1)
    found = align_facets(pictures, facets, guess + grid[best] * scales[:, None])
    good = found.good & (peak > MIN_FOUND_CORRELATION) & (peak - rival > MIN_LEAD)
    joined = Tracks(
        np.concatenate([tracks.views, sought.views[good]]),
        np.concatenate([tracks.points, sought.points[good]]),
        np.concatenate([tracks.pixels, found.pixels[good]]),
        np.concatenate([tracks.sigmas, found.sigmas[good]]),
        tracks.count,
    )
    order = np.argsort(joined.points, kind="stable")
    new = (np.arange(len(order)) >= len(tracks.views))[order]
    fields = {name: getattr(joined, name)[order] for name in ("views", "points", "pixels", "sigmas")}
    return replace(joined, **fields), new


def _sought_in(model: Model, seen: Tracks, structure: Structure, view: int, seed: int) -> _Sought:
    """Points that a view should show and of which it has no observation."""
    lengths = seen.lengths()
    own = np.zeros(seen.count, bool)
    own[seen.points[seen.views == view]] = True
    none = np.zeros(0, np.int64)
    if (own & (lengths >= 3)).sum() >= ENOUGH_SHARED:
        return _Sought(none, none, none)
    points = np.flatnonzero((lengths >= 2) & ~own)
    if len(points) == 0:
        return _Sought(none, none, none)
    shown, cosine = _nearest_observation(model, seen, structure.points, points, view)
    pixels, depth = project(model, np.full(len(points), view), structure.points[points])
    margin = (RADIUS + 1) * float(model.long_side[view]) / 1024
    inside = ((pixels > margin) & (pixels < 2 * model.middle[view] - margin)).all(1)
    keep = np.flatnonzero(inside & (depth > 0) & (cosine > np.cos(np.radians(MAX_ANGLE_DEG))))
    if len(keep) > MAX_SEARCHED:
        keep = np.sort(np.random.default_rng([seed, view]).choice(keep, MAX_SEARCHED, replace=False))
    return _Sought(points[keep], np.full(len(keep), view), shown[keep])


def _nearest_observation(
    model: Model, seen: Tracks, xyz: Float[ndarray, "p 3"], points: Int[ndarray, " m"], view: int
) -> tuple[Int[ndarray, " m"], Float[ndarray, " m"]]:
    """Of each point the observation whose ray is nearest to the view's, and the cosine between the two."""
    to_view = towards_camera(model, np.full(len(seen.views), view), xyz[seen.points])
    cosine = (towards_camera(model, seen.views, xyz[seen.points]) * to_view).sum(1)
    order = np.lexsort((-cosine, seen.points))
    owners, first = np.unique(seen.points[order], return_index=True)
    best = np.full(seen.count, -1)
    best[owners] = order[first]
    return best[points], cosine[best[points]]
