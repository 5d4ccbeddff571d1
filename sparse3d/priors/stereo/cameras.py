"""The camera half of the built-in prior: from photos, and what is known of their cameras, to placed cameras."""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import CameraPrior
from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo import known as known_cameras
from sparse3d.priors.stereo.attempt import attempt, improve, settle_frame
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.distances import dense_stereo, settle_distance, with_uncertain_distance
from sparse3d.priors.stereo.features import resolve_features
from sparse3d.priors.stereo.match_graph import build_graph, combine
from sparse3d.priors.stereo.model import Model
from sparse3d.priors.stereo.output import to_camera_prior
from sparse3d.priors.stereo.polish import polish
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.sanity import drop_contradicted, turned_in_place
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.turning import link_by_turns
from sparse3d.priors.stereo.two_view import MatchGraph

logger = logging.getLogger(__name__)

VAGUE_FOCAL_SIGMA = 0.1
"""From this standard deviation of the logarithmic focal length on, the user is told that the photos hardly fix it."""

STRONG_LENS_SIGMAS = 3.0
"""Of `k1_sigma`: a distortion that was found in spite of so much is one of a wide lens."""

ODD_FOCAL_SIGMAS = 2.3
"""Of the prior over lenses: below 0.4 and beyond 2.5 times the longer side."""


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
    kinds = list(resolve_features(config.features))
    torch.manual_seed(seed)
    model = known_cameras.initial_model(images, known, config)
    staged = config.features == "auto" and len(kinds) > 1
    used = kinds[:1] if staged else kinds
    graph = link_by_turns(images, build_graph(images, used, model, config), config)
    found = attempt(model, graph, config, seed=seed)
    if staged and not found.is_convincing():
        logger.info("%s places %d of %d photos; adding %s", kinds[0], found.placed, len(images), kinds[1])
        further = link_by_turns(images, build_graph(images, kinds[1:], model, config), config)
        both = combine(graph, further)
        better = improve(found, model, both, config, seed=seed)
        used, found, graph = (used if better is found else kinds), better, both
    if not graph.pairs and model.placed.sum() < 2:
        raise InputError(_no_overlap(images, graph))
    warnings = _check_given(model, graph) if model.placed.sum() >= 2 else []
    if not model.placed.any() and turned_in_place(graph, found.solution.model, config):
        raise InputError(
            f"the {len(images)} photos look from one place, the camera only turned: nothing in them tells how far things "
            "are. Take a step to the side between photos"
        )
    found = drop_contradicted(found, config)
    if found.placed >= 2:
        found = polish(found, images, config, seed=seed)
    found, moved = settle_distance(found, dense_stereo(images, config), config)
    found = settle_frame(found, model)
    solution, tracks = found.solution, found.tracks
    if solution.model.placed.sum() < 2:
        raise InputError(
            f"the cameras of the {len(images)} photos could not be found: their matches fit no common scene. Take "
            "photos that overlap by two thirds, from different places, or give the cameras with --cameras"
        )
    warnings += _vague_focal(solution, config) + _odd_focal(solution, config) + _strong_lens(solution, config)
    fully = known is not None and all(known.pose_known) and all(known.intrinsics_known)
    source = "+".join(used) + ("+known" if fully else "+known+mapper" if known is not None else "+mapper")
    reasons = _reasons(images, solution, tracks, graph)
    prior = to_camera_prior(images, known, solution, tracks, reasons, warnings, source, config)
    return prior if moved is None else with_uncertain_distance(prior, moved)


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


def _odd_focal(solution: Solution, config: CameraConfig) -> list[str]:
    """A focal length that few lenses have is a sign of a wrong scene, above all of repeated structure."""
    model = solution.model
    free = model.placed & model.intrinsics_free & ~np.isfinite(model.exif_focal)
    if not free.any():
        return []
    ratio = float(np.median(model.focal[free, 0] / model.long_side[free]))
    if abs(np.log(ratio / config.focal_prior_ratio)) <= ODD_FOCAL_SIGMAS * config.focal_prior_sigma:
        return []
    return [
        f"the focal length found, {ratio:.2f} times the photos' longer side, is unusual: the scene may be wrong, for "
        "instance because of repeated structure. Check it, or give the focal length"
    ]


def _strong_lens(solution: Solution, config: CameraConfig) -> list[str]:
    """More distortion than the settings expect is found, but not all of it."""
    model = solution.model
    bent = np.abs(model.distortion - model.lens)[model.placed & model.intrinsics_free, 0]
    if config.k1_sigma == 0 or len(bent) == 0 or bent.max() <= STRONG_LENS_SIGMAS * config.k1_sigma:
        return []
    return [
        f"the lens distorts more than most (k1 is off by {bent.max():.2f}): with camera.k1_sigma and camera.k2_sigma at 0.2 "
        "its distortion is found more exactly; action cameras and fisheyes want their intrinsics given"
    ]


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
        matches = int(graph.match_counts()[view, solution.model.placed].sum())
        if graph.matches_of(int(view)) == 0:
            most = max((n for i, j, n in graph.rejected if view in (i, j)), default=0)
            reason = f"overlaps with no other photo (at most {most} matches agree)"
        else:
            seen = int(np.isfinite(solution.structure.points[tracks.points[tracks.views == view], 0]).sum())
            reason = f"its {matches} matches with the others do not fit their scene ({seen} points in common)"
        reasons.append((images.names[view], reason))
    return reasons
