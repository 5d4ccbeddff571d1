"""Placing views: from a pair of photos, and one more view at a time from points that others see (PnP)."""

from dataclasses import dataclass, replace

import numpy as np
import pycolmap
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo import bundle, triangulation
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.mapper import quiet_pycolmap
from sparse3d.priors.stereo.model import Model, normalise
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import Structure
from sparse3d.priors.stereo.two_view import MatchGraph, Pair

LOOSE_SIGMAS = 12.0
"""Tolerance before the first bundle adjustment, when poses and focal length are still rough."""

PAIRS_TRIED, PAIRS_STARTED = 6, 2
"""Pairs with the most matches that are triangulated, and how many of them a scene is begun from."""

ROUGH_ITERATIONS = 10
"""Steps of the first adjustments, whose inliers still change."""

GROWING_ROUNDS = 2
"""Rounds after each view while a scene grows."""

REFINE_ROUNDS = 5
"""Rounds of triangulation and adjustment at most; two or three settle it."""

MIN_INLIER_RATIO = 0.12
"""A view is not placed where fewer of its points than this agree: repeated structure gives such a few by chance."""

MAX_BUNDLE_OBSERVATIONS = 12000
"""More observations than this are thinned for the adjustment, the longest tracks kept: they add time, not accuracy."""

SETTLED = 2e-3
"""Refinement stops when the focal length moves by a smaller fraction and the inliers by less than one in a hundred."""


@dataclass(frozen=True)
class Solution:
    """Cameras and points that fit together.

    Attributes:
        model: the cameras.
        structure: points and inliers of all tracks.
        focal_sigma: per group, standard deviation of the logarithmic focal length by the data alone.
    """

    model: Model
    structure: Structure
    focal_sigma: dict[int, float]


def refine(
    model: Model, tracks: Tracks, config: CameraConfig, *, hold_focal: bool = False, rounds: int = REFINE_ROUNDS
) -> Solution:
    """Triangulate and adjust in turn until the inliers settle; views that lose their support lose their pose.

    Args:
        hold_focal: keep the focal length even where it is free.
        rounds: at most this many; fewer for a start that is refined again.
    """
    tolerance, before = LOOSE_SIGMAS, (0.0, 0)
    sigmas: dict[int, float] = {}
    structure = triangulation.triangulate(model, tracks, min_angle_deg=config.min_angle_deg, max_sigmas=tolerance)
    for _ in range(rounds):
        fit = tracks.select(_thinned(tracks, structure))
        if len(fit.views) == 0:
            break
        rough = tolerance > triangulation.MAX_SIGMAS or rounds < REFINE_ROUNDS
        steps = ROUGH_ITERATIONS if rough else bundle.MAX_ITERATIONS
        adjusted = bundle.adjust(model, fit, structure.points, config, hold_focal=hold_focal, iterations=steps)
        model, sigmas = adjusted.model, adjusted.focal_sigma
        tolerance = max(triangulation.MAX_SIGMAS, tolerance / 2)
        structure = triangulation.triangulate(model, tracks, min_angle_deg=config.min_angle_deg, max_sigmas=tolerance)
        weak = _unsupported(model, tracks, structure, config)
        if weak.any():
            model = model.with_poses(np.where(weak[:, None, None], np.nan, model.cam_from_world))
            structure = triangulation.triangulate(
                model, tracks, min_angle_deg=config.min_angle_deg, max_sigmas=tolerance
            )
        now = (float(np.log(model.focal).mean()), int(structure.inlier.sum()))
        settled = abs(now[0] - before[0]) < SETTLED and abs(now[1] - before[1]) < 0.01 * now[1]
        if settled and tolerance <= triangulation.MAX_SIGMAS:
            break
        before = now
    return Solution(model, structure, sigmas)


def _thinned(tracks: Tracks, structure: Structure) -> ndarray:
    """Inliers, thinned to the longest tracks where there are more than the adjustment needs."""
    keep = structure.inlier
    if keep.sum() <= MAX_BUNDLE_OBSERVATIONS:
        return keep
    lengths = np.bincount(tracks.points, weights=keep, minlength=tracks.count)
    order = np.argsort(-lengths, kind="stable")
    chosen = order[np.cumsum(lengths[order]) <= MAX_BUNDLE_OBSERVATIONS]
    picked = np.zeros(tracks.count, bool)
    picked[chosen] = True
    return keep & picked[tracks.points]


def _unsupported(model: Model, tracks: Tracks, structure: Structure, config: CameraConfig) -> ndarray:
    """Placed views of free pose that too few points still agree with."""
    counts = np.bincount(tracks.views[structure.inlier], minlength=len(model.group))
    return model.placed & model.pose_free & (counts < config.min_pose_inliers)


def place_by_points(
    model: Model, tracks: Tracks, structure: Structure, view: int, config: CameraConfig, *, seed: int
) -> Float[ndarray, "4 4"] | None:
    """A pose for `view` from the triangulated points that it sees (PnP), or None where too few agree."""
    seen = (tracks.views == view) & np.isfinite(structure.points[tracks.points, 0])
    rays = normalise(model, tracks.views[seen], tracks.pixels[seen])
    camera, pixels = _pinhole(model, view, rays)
    estimation = pycolmap.AbsolutePoseEstimationOptions()
    estimation.ransac.max_error = LOOSE_SIGMAS / 2 * float(np.median(tracks.sigmas[seen]))
    estimation.ransac.random_seed = seed
    with quiet_pycolmap():
        found = pycolmap.estimate_and_refine_absolute_pose(
            pixels, structure.points[tracks.points[seen]], camera, estimation
        )
    if not found or found["num_inliers"] < max(config.min_pose_inliers, MIN_INLIER_RATIO * seen.sum()):
        return None
    pose = np.eye(4)
    pose[:3] = found["cam_from_world"].matrix()
    return pose


def _pinhole(model: Model, view: int, rays: Float[ndarray, "n 2"]) -> tuple[pycolmap.Camera, Float[ndarray, "n 2"]]:
    """A pinhole camera for undistorted rays, and their pixels in it."""
    width, height = np.maximum(1, np.round(2 * model.centre[view])).astype(int)
    params = [*model.focal[view], *model.centre[view]]
    camera = pycolmap.Camera(model="PINHOLE", width=int(width), height=int(height), params=params)
    return camera, rays * model.focal[view] + model.centre[view]


def relative_pose(
    model: Model, graph: MatchGraph, pair: Pair, config: CameraConfig, *, seed: int
) -> tuple[Float[ndarray, "4 4"], int] | None:
    """Pose of the pair's second camera from its first, translation of length one, and how many of the pair's matches agree
    with it; None where none fits."""
    sides = []
    for view, column in ((pair.i, 0), (pair.j, 1)):
        pixels = graph.pixels[view][pair.matches[:, column]]
        rays = normalise(model, np.full(len(pixels), view), pixels)
        sides.append(_pinhole(model, view, rays))
    options = pycolmap.RANSACOptions()
    options.max_error = config.max_error_px * max(graph.scales[pair.i], graph.scales[pair.j])
    options.random_seed = seed
    with quiet_pycolmap():
        found = pycolmap.estimate_essential_matrix(sides[0][1], sides[1][1], sides[0][0], sides[1][0], options)
    if not found or found.get("cam2_from_cam1") is None:
        return None
    pose = np.eye(4)
    pose[:3] = found["cam2_from_cam1"].matrix()
    length = float(np.linalg.norm(pose[:3, 3]))
    if not np.isfinite(pose).all() or length == 0:
        return None
    pose[:3, 3] /= length
    return pose, int(found["num_inliers"])


def start_from_pairs(model: Model, graph: MatchGraph, config: CameraConfig, *, seed: int) -> list[Model]:
    """The model with two views placed, one for each of the pairs that give the most triangulated points, best first."""
    found = []
    for pair in sorted(graph.pairs, key=lambda p: -len(p.matches))[:PAIRS_TRIED]:
        placed = _place_pair(model, graph, pair, config, seed=seed)
        if placed is not None and placed[1] >= config.min_pose_inliers:
            found.append(placed)
    return [start for start, _ in sorted(found, key=lambda f: -f[1])[:PAIRS_STARTED]]


def _place_pair(
    model: Model, graph: MatchGraph, pair: Pair, config: CameraConfig, *, seed: int
) -> tuple[Model, int] | None:
    relative = relative_pose(model, graph, pair, config, seed=seed)
    if relative is None:
        return None
    second_from_first, _ = relative
    poses = np.full_like(model.cam_from_world, np.nan)
    poses[pair.i], poses[pair.j] = np.eye(4), second_from_first
    placed = replace(model, cam_from_world=poses)
    count = len(pair.matches)
    both = Tracks(
        views=np.repeat([pair.i, pair.j], count),
        points=np.tile(np.arange(count), 2),
        pixels=np.concatenate([graph.pixels[pair.i][pair.matches[:, 0]], graph.pixels[pair.j][pair.matches[:, 1]]]),
        sigmas=np.concatenate([graph.sigmas[pair.i][pair.matches[:, 0]], graph.sigmas[pair.j][pair.matches[:, 1]]]),
        count=count,
    )
    structure = triangulation.triangulate(placed, both, min_angle_deg=config.min_angle_deg)
    return placed, int(structure.inlier.sum()) // 2
