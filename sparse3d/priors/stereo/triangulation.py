"""Triangulation of tracks from placed views, with outlying observations dropped."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from sparse3d.priors.stereo.model import Model, normalise, residuals_px, to_camera
from sparse3d.priors.stereo.tracks import Tracks

REWEIGHTINGS = 2
"""Linear triangulation is repeated with weights 1/depth, which makes the algebraic error nearly that in the image."""

DROP_ROUNDS = 3
"""How often the worst observation of a bad track is dropped."""

MAX_SIGMAS = 4.0
"""An observation farther off than this many of its standard deviations is an outlier."""


@dataclass(frozen=True)
class Structure:
    """Points of tracks and which observations support them.

    Attributes:
        points: in the world; NaN where a track could not be triangulated.
        inlier: observations, in the tracks' order, that agree with their point and are of a placed view.
    """

    points: Float[ndarray, "p 3"]
    inlier: Bool[ndarray, " o"]


def triangulate(model: Model, tracks: Tracks, *, min_angle_deg: float, max_sigmas: float = MAX_SIGMAS) -> Structure:
    """Triangulate all tracks from the views that are placed.

    Args:
        min_angle_deg: a point needs two rays that meet at this angle at least.
        max_sigmas: an observation may be off by this many of its standard deviations.
    """
    use = model.placed[tracks.views]
    rays = np.full_like(tracks.pixels, np.nan)
    rays[use] = normalise(model, tracks.views[use], tracks.pixels[use])
    weight = np.where(use, model.focal[tracks.views].mean(1) / tracks.sigmas, 0.0)
    points = np.full((tracks.count, 3), np.nan)
    for round_ in range(DROP_ROUNDS + 1):
        points = _linear(model, tracks, rays, weight, use)
        sigmas = np.where(use, _error_sigmas(model, tracks, points), 0.0)
        bad = sigmas > max_sigmas
        if not bad.any() or round_ == DROP_ROUNDS:
            break
        worst = np.zeros(tracks.count)
        np.maximum.at(worst, tracks.points, np.nan_to_num(sigmas, posinf=1e30))
        lengths = np.bincount(tracks.points, weights=use, minlength=tracks.count)
        drop = bad & (np.nan_to_num(sigmas, posinf=1e30) >= worst[tracks.points]) & (lengths[tracks.points] > 2)
        if not drop.any():
            break
        use = use & ~drop
    return filter_structure(model, tracks, points, min_angle_deg=min_angle_deg, max_sigmas=max_sigmas)


def filter_structure(
    model: Model, tracks: Tracks, points: Float[ndarray, "p 3"], *, min_angle_deg: float, max_sigmas: float = MAX_SIGMAS
) -> Structure:
    """Keep the observations that agree, and the points that two of them see under a sufficient angle."""
    inlier = model.placed[tracks.views] & np.isfinite(points[tracks.points, 0])
    inlier &= _error_sigmas(model, tracks, points) < max_sigmas
    lengths = np.bincount(tracks.points, weights=inlier, minlength=tracks.count)
    angle = widest_angle_deg(model, tracks.select(inlier), points)
    good = (lengths >= 2) & (angle >= min_angle_deg)
    return Structure(np.where(good[:, None], points, np.nan), inlier & good[tracks.points])


def widest_angle_deg(model: Model, tracks: Tracks, points: Float[ndarray, "p 3"]) -> Float[ndarray, " p"]:
    """The widest angle between any two rays of each point; zero where it has fewer than two."""
    direction = model.centres[tracks.views] - points[tracks.points]
    direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    table = np.full((tracks.count, len(model.group), 3), np.nan)
    table[tracks.points, tracks.views] = direction
    smallest = np.ones(tracks.count)
    for view in range(len(model.group)):
        cosine = np.einsum("pvi,pi->pv", table, table[:, view])
        smallest = np.fmin(smallest, np.fmin.reduce(cosine, axis=1, initial=1.0))
    return np.degrees(np.arccos(np.clip(smallest, -1, 1)))


def _error_sigmas(model: Model, tracks: Tracks, points: Float[ndarray, "p 3"]) -> Float[ndarray, " o"]:
    """Reprojection error over the observation's standard deviation; infinite where undefined or behind the camera."""
    with np.errstate(invalid="ignore"):
        residual, _ = residuals_px(model, tracks.views, points[tracks.points], tracks.pixels)
        return np.nan_to_num(np.linalg.norm(residual, axis=1) / tracks.sigmas, nan=np.inf, posinf=np.inf)


def _linear(
    model: Model,
    tracks: Tracks,
    rays: Float[ndarray, "o 2"],
    weight: Float[ndarray, " o"],
    use: Bool[ndarray, " o"],
) -> Float[ndarray, "p 3"]:
    """Iteratively reweighted linear triangulation (Hartley and Sturm 1997) in inhomogeneous form."""
    views, owners = tracks.views[use], tracks.points[use]
    pose = model.cam_from_world[views]
    rows = rays[use][:, :, None] * pose[:, 2:3, :] - pose[:, :2, :]
    weight = weight[use]
    points = np.full((tracks.count, 3), np.nan)
    scale = weight
    for _ in range(REWEIGHTINGS + 1):
        scaled = rows * scale[:, None, None]
        normal, right = np.zeros((tracks.count, 3, 3)), np.zeros((tracks.count, 3))
        np.add.at(normal, owners, np.einsum("oki,okj->oij", scaled[..., :3], scaled[..., :3]))
        np.add.at(right, owners, -np.einsum("oki,ok->oi", scaled[..., :3], scaled[..., 3]))
        trace = np.trace(normal, axis1=1, axis2=2)
        solvable = (trace > 0) & (np.bincount(owners, minlength=tracks.count) >= 2)
        # A trace of rounding keeps parallel rays solvable: their point lies far off and the angle test drops it.
        ridge = 1e-12 * trace[solvable, None, None] * np.eye(3)
        points[solvable] = np.linalg.solve(normal[solvable] + ridge, right[solvable][..., None])[..., 0]
        depth = np.abs(to_camera(model, views, np.nan_to_num(points[owners]))[:, 2])
        scale = weight / np.maximum(depth, 1e-6)
    return points
