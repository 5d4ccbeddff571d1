"""Placing a view by its relative pose to a placed one, where too few points are seen by three views for PnP.

The essential matrix gives the new view's rotation and the direction of its position from its partner; the one number
that is missing, the distance, comes from the few points and from the epipolar lines of matches with other placed views.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import Model, normalise, residuals_px
from sparse3d.priors.stereo.registration import LOOSE_SIGMAS, relative_pose
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import Structure
from sparse3d.priors.stereo.two_view import MatchGraph, Pair

MAX_PARTNERS = 3
"""Placed views tried as partners, those with the most matches first."""

MIN_POINTS = 3
"""Points that must agree on the distance: one fixes it, two more confirm it."""

MIN_LINE_MATCHES, MIN_LINE_SHARE = 12, 0.3
"""Matches with third views that must agree on the distance instead; lines agree by chance more often than points."""

MAX_CANDIDATES = 200
"""Distances that are tried, drawn evenly from what the observations suggest."""


def place_by_partners(
    model: Model, structure: Structure, tracks: Tracks, graph: MatchGraph, view: int, config: CameraConfig, *, seed: int
) -> list[Float[ndarray, "4 4"]]:
    """Poses for `view`, one a partner that gives one which enough observations agree with, the best supported first."""
    pairs = [p for p in graph.pairs if view in (p.i, p.j) and model.placed[p.j if p.i == view else p.i]]
    found = []
    for pair in sorted(pairs, key=lambda p: -len(p.matches))[:MAX_PARTNERS]:
        partner = pair.j if pair.i == view else pair.i
        relative = relative_pose(model, graph, pair, config, seed=seed)
        if relative is None:
            continue
        second_from_first, agreeing = relative
        view_from_partner = second_from_first if partner == pair.i else np.linalg.inv(second_from_first)
        unit = view_from_partner @ model.cam_from_world[partner]
        # cam_from_world(d) has translation `base + d * direction`.
        base, direction = view_from_partner[:3, :3] @ model.cam_from_world[partner][:3, 3], view_from_partner[:3, 3]
        others = [p for p in pairs if p is not pair]
        at = _distance(model, structure, tracks, graph, others, view, (unit[:3, :3], base, direction))
        if at is not None:
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = unit[:3, :3], base + at[0] * direction
            # The partner's own matches count too: repeated structure lets a wrong pose win among the few of the others.
            found.append((agreeing + at[1], pose))
    return [pose for _, pose in sorted(found, key=lambda f: -f[0])]


def _distance(
    model: Model,
    structure: Structure,
    tracks: Tracks,
    graph: MatchGraph,
    others: list[Pair],
    view: int,
    line: tuple[ndarray, ndarray, ndarray],
) -> tuple[float, int] | None:
    """The distance that the most points and lines agree with, and their number."""
    rotation, base, direction = line
    seen = (tracks.views == view) & np.isfinite(structure.points[tracks.points, 0])
    points, pixels, sigmas = structure.points[tracks.points[seen]], tracks.pixels[seen], tracks.sigmas[seen]
    rays = _homogeneous(normalise(model, tracks.views[seen], pixels))
    a, b = np.cross(rays, points @ rotation.T + base), np.cross(rays, direction)
    by_points = -(a * b).sum(1) / np.maximum((b * b).sum(1), 1e-12)
    constant, slope, per_line = _line_terms(model, graph, others, view, line)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_lines = -constant / slope
    candidates = np.concatenate([by_points, by_lines[np.isfinite(by_lines)]])
    candidates = np.sort(candidates[candidates > 0])
    if len(candidates) == 0:
        return None
    best = None
    for distance in candidates[np.unique(np.linspace(0, len(candidates) - 1, MAX_CANDIDATES).astype(int))]:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, base + distance * direction
        trial = model.with_poses(
            np.where(np.arange(len(model.group))[:, None, None] == view, pose, model.cam_from_world)
        )
        residual, _ = residuals_px(trial, np.full(len(points), view), points, pixels)
        near = int((np.linalg.norm(residual, axis=1) < LOOSE_SIGMAS * sigmas).sum())
        on_line = int((np.abs(constant + distance * slope) < per_line).sum())
        enough = near >= MIN_POINTS or on_line >= max(MIN_LINE_MATCHES, MIN_LINE_SHARE * len(constant))
        if enough and (best is None or 2 * near + on_line > best[1]):
            best = (float(distance), 2 * near + on_line)
    return best


def _line_terms(
    model: Model, graph: MatchGraph, others: list[Pair], view: int, line: tuple[ndarray, ndarray, ndarray]
) -> tuple[Float[ndarray, " m"], Float[ndarray, " m"], Float[ndarray, " m"]]:
    """The epipolar residual of matches with third views, `constant + distance * slope`, and its tolerance."""
    rotation, base, direction = line
    constants, slopes, tolerances = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for pair in others:
        third = pair.j if pair.i == view else pair.i
        mine, theirs = (0, 1) if pair.i == view else (1, 0)
        count = len(pair.matches)
        here = _homogeneous(normalise(model, np.full(count, view), graph.pixels[view][pair.matches[:, mine]]))
        there = _homogeneous(normalise(model, np.full(count, third), graph.pixels[third][pair.matches[:, theirs]]))
        pose = model.cam_from_world[third]
        turned = there @ (rotation @ pose[:3, :3].T).T
        shift = base - rotation @ pose[:3, :3].T @ pose[:3, 3]
        normal = np.cross(turned, here)
        constants.append(normal @ shift)
        slopes.append(normal @ direction)
        # |normal| is the sine between the rays; the residual over it and the baseline is an angle.
        sigma = LOOSE_SIGMAS / 2 * graph.sigmas[view][pair.matches[:, mine]] / model.focal[view].mean()
        tolerances.append(sigma * max(float(np.linalg.norm(shift)), 1e-9) * np.linalg.norm(here, axis=1))
    return np.concatenate(constants), np.concatenate(slopes), np.concatenate(tolerances)


def _homogeneous(rays: Float[ndarray, "n 2"]) -> Float[ndarray, "n 3"]:
    return np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
