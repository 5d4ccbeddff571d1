"""The camera half of the built-in prior: from photos, and what is known of their cameras, to placed cameras."""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import CameraPrior
from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo import assembly, hypotheses, registration, world_frame
from sparse3d.priors.stereo import known as known_cameras
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.features import resolve_features
from sparse3d.priors.stereo.match_graph import build_graph
from sparse3d.priors.stereo.model import Model, residuals_px
from sparse3d.priors.stereo.output import to_camera_prior
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.tracks import Tracks, build_tracks
from sparse3d.priors.stereo.two_view import MatchGraph

logger = logging.getLogger(__name__)

VAGUE_FOCAL_SIGMA = 0.1
"""From this standard deviation of the logarithmic focal length on, the user is told that the photos hardly fix it."""


def estimate_cameras(images: ImageSet, known: Cameras | None, config: CameraConfig, *, seed: int) -> CameraPrior:
    """Find the cameras of the photos, with what is known of them held fixed.

    Args:
        images: at least two photos.
        known: one entry a photo, in the photos' order; NaN where unknown.
        seed: of every random choice; the same seed on the same machine gives the same cameras.

    Returns:
        The placed views at the photos' full size with their distortion, sparse points with their tracks, the views
        left out with a reason each, and warnings. Where poses were given the world is theirs; else it is upright (y
        down), centred on the cameras, and the median depth of the points is one.

    Raises:
        InputError: no two photos overlap, or fewer than two views can be placed.
        MissingDependency: the config asks for XFeat by name and it is not installed.
    """
    kinds = resolve_features(config.features)
    torch.manual_seed(seed)
    model = known_cameras.initial_model(images, known, config)
    graph = build_graph(images, kinds, model, config)
    tracks = build_tracks(graph)
    warnings: list[str] = []
    if not graph.pairs and model.placed.sum() < 2:
        raise InputError(_no_overlap(images, graph))
    if model.placed.sum() >= 2:
        warnings += _check_given(model, graph)
        solution = _complete(model, graph, tracks, config, seed=seed)
    else:
        solution = _from_nothing(model, graph, tracks, config, seed=seed)
    if solution.model.placed.sum() < 2:
        raise InputError(
            f"the cameras of the {len(images)} photos could not be found: their matches fit no common scene. Take "
            "photos that overlap by two thirds, from different places, or give the cameras with --cameras"
        )
    warnings += _vague_focal(solution, config)
    fully = known is not None and all(known.pose_known) and all(known.intrinsics_known)
    source = "+".join(kinds) + ("+known" if fully else "+known+mapper" if known is not None else "+mapper")
    return to_camera_prior(images, known, solution, tracks, _reasons(images, solution, tracks, graph), warnings, source)


def _from_nothing(model: Model, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int) -> Solution:
    """No or one pose given: solve, then choose the frame: tidy, or that in which the one given pose holds."""
    given = np.flatnonzero(model.placed)
    free = Model(**{**vars(model), "pose_free": np.ones_like(model.pose_free)})
    solution = hypotheses.solve_from_matches(
        free.with_poses(np.full_like(model.cam_from_world, np.nan)), graph, tracks, config, seed=seed
    )
    placed = solution.model.placed
    if placed.sum() < 2:
        return solution
    views, use = tracks.views, solution.structure.inlier
    _, depths = residuals_px(
        solution.model, views[use], solution.structure.points[tracks.points[use]], tracks.pixels[use]
    )
    frame = world_frame.tidy_frame(solution.model.cam_from_world[placed], depths)
    moved = _moved(solution, *frame)
    if len(given) == 1 and placed[given[0]]:
        new_from_cam = np.linalg.inv(model.cam_from_world[given[0]]) @ moved.model.cam_from_world[given[0]]
        moved = _moved(moved, 1.0, new_from_cam[:3, :3], new_from_cam[:3, 3])
    return moved


def _moved(solution: Solution, scale: float, rotation: np.ndarray, translation: np.ndarray) -> Solution:
    poses = world_frame.move_cameras(solution.model.cam_from_world, scale, rotation, translation)
    points = world_frame.move_points(solution.structure.points, scale, rotation, translation)
    structure = registration.Structure(points, solution.structure.inlier)
    return Solution(solution.model.with_poses(poses), structure, solution.focal_sigma)


def _complete(model: Model, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int) -> Solution:
    """Two or more poses given: find what is missing of the intrinsics and the other poses, in the given frame."""
    given = model.placed
    model = known_cameras.search_focal(model, graph, config)
    solution = registration.refine(model, tracks, config)
    solution = assembly.add_missing(solution, graph, tracks, config, seed=seed)
    if not solution.model.placed.all():
        solution = _bridge(solution, graph, tracks, config, seed=seed)
    if config.free_known_poses:
        solution = _moved(solution, *_similarity(solution.model.cam_from_world[given], model.cam_from_world[given]))
    return solution


def _bridge(solution: Solution, graph: MatchGraph, tracks: Tracks, config: CameraConfig, *, seed: int) -> Solution:
    """Place views that the given ones do not reach: solve from the matches alone, then align to the placed views."""
    model = solution.model
    alone = Model(
        **{**vars(model), "pose_free": np.ones_like(model.pose_free), "intrinsics_free": np.zeros_like(model.pose_free)}
    )
    other = hypotheses.solve_from_matches(
        alone.with_poses(np.full_like(model.cam_from_world, np.nan)), graph, tracks, config, seed=seed
    ).model
    common = model.placed & other.placed
    extra = other.placed & ~model.placed
    if common.sum() < 2 or not extra.any():
        return solution
    frame = _similarity(other.cam_from_world[common], model.cam_from_world[common])
    moved = world_frame.move_cameras(other.cam_from_world, *frame)
    poses = np.where(extra[:, None, None], moved, model.cam_from_world)
    return registration.refine(model.with_poses(poses), tracks, config)


def _similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The similarity that moves cameras onto the same cameras elsewhere."""
    scale, rotation, translation = se3.sim3_from_cameras(
        se3.invert(torch.from_numpy(source)), se3.invert(torch.from_numpy(target))
    )
    return float(scale), rotation.numpy(), translation.numpy()


def _check_given(model: Model, graph: MatchGraph) -> list[str]:
    held = model.placed & ~model.intrinsics_free
    errors = known_cameras.epipolar_errors(
        model.with_poses(np.where(held[:, None, None], model.cam_from_world, np.nan)), graph
    )
    allowed = known_cameras.GROSS_ERROR * float(np.max(model.long_side / np.array(graph.scales)))
    if len(errors) and np.median(errors) > allowed:
        return [
            f"the given cameras do not fit the photos: matches miss their epipolar lines by {np.median(errors):.0f} "
            "pixels (median). Check their order, axes and image sizes, or leave them out"
        ]
    return []


def _vague_focal(solution: Solution, config: CameraConfig) -> list[str]:
    model, vague = solution.model, []
    for group, sigma in sorted(solution.focal_sigma.items()):
        view = int(np.flatnonzero(model.group == group)[0])
        if sigma > VAGUE_FOCAL_SIGMA and not np.isfinite(model.exif_focal[view]):
            off = min(100 * (np.exp(min(sigma, config.focal_prior_sigma)) - 1), 50)
            vague.append(
                f"the photos hardly determine the focal length: {model.focal[view, 0]:.0f} px was assumed with the "
                f"help of usual lenses and may be {off:.0f} % off. Photos from more directions, or EXIF data, help"
            )
    return vague


def _no_overlap(images: ImageSet, graph: MatchGraph) -> str:
    most = max((count for _, _, count in graph.rejected), default=0)
    return (
        f"no two of the {len(images)} photos overlap: at most {most} matches agree between any two. Take photos of "
        "the same things from places closer together, or give the cameras with --cameras"
    )


def _reasons(images: ImageSet, solution: Solution, tracks: Tracks, graph: MatchGraph) -> Sequence[tuple[str, str]]:
    reasons = []
    for view in np.flatnonzero(~solution.model.placed):
        matches = graph.matches_of(int(view))
        if matches == 0:
            most = max((n for i, j, n in graph.rejected if view in (i, j)), default=0)
            reason = f"overlaps with no other photo (at most {most} matches agree)"
        else:
            seen = int(np.isfinite(solution.structure.points[tracks.points[tracks.views == view], 0]).sum())
            reason = f"its {matches} matches do not fit the scene of the others ({seen} points in common)"
        reasons.append((images.names[view], reason))
    return reasons
