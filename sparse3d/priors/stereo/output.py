"""The result in the project's types."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import CameraPrior, PoseSigmas, SparsePoints
from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.covariance import pose_sigmas
from sparse3d.priors.stereo.model import Model, residuals_px
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.tracks import Tracks


def to_camera_prior(
    images: ImageSet,
    known: Cameras | None,
    solution: Solution,
    tracks: Tracks,
    unplaced: Sequence[tuple[str, str]],
    warnings: Sequence[str],
    source: str,
    config: CameraConfig,
) -> CameraPrior:
    """Cameras of the placed views and the points that they see."""
    placed = np.flatnonzero(solution.model.placed)
    cameras = _cameras(images, known, solution.model, placed)
    points = _points(images, solution, tracks, placed)
    seen = tracks.select(solution.structure.inlier)
    spread = pose_sigmas(solution.model, seen, solution.structure.points, config)
    sigmas = PoseSigmas(*(torch.from_numpy(s[placed]) for s in spread))
    return CameraPrior(cameras, points, tuple(unplaced), tuple(warnings), source, sigmas)


def _cameras(images: ImageSet, known: Cameras | None, model: Model, placed: ndarray) -> Cameras:
    K = np.zeros((len(placed), 3, 3))
    K[:, [0, 1], [0, 1]], K[:, :2, 2], K[:, 2, 2] = model.focal[placed], model.centre[placed], 1.0
    # Photos of one camera held upright and sideways share their focal length but not their matrix.
    keys = [(int(model.group[v]), images.sizes[v], bool(model.intrinsics_free[v])) for v in placed]
    numbers = {key: n for n, key in enumerate(dict.fromkeys(keys))}
    return Cameras.build(
        torch.from_numpy(model.cam_from_world[placed].copy()),
        torch.from_numpy(K),
        [images.sizes[v] for v in placed],
        distortion=torch.from_numpy(model.distortion[placed].copy()),
        names=[images.names[v] for v in placed],
        groups=[numbers[key] for key in keys],
        pose_known=[known is not None and known.pose_known[v] for v in placed],
        intrinsics_known=[known is not None and known.intrinsics_known[v] for v in placed],
    )


def _points(images: ImageSet, solution: Solution, tracks: Tracks, placed: ndarray) -> SparsePoints:
    structure = solution.structure
    seen = tracks.select(structure.inlier)
    used, owner = np.unique(seen.points, return_inverse=True)
    xyz = structure.points[used]
    residual, _ = residuals_px(solution.model, seen.views, xyz[owner], seen.pixels)
    counts = np.maximum(np.bincount(owner, minlength=len(used)), 1)
    errors = np.bincount(owner, weights=np.linalg.norm(residual, axis=1), minlength=len(used)) / counts
    colours = _mean_colours(images, seen, owner, len(used))
    position = np.full(len(images), -1)
    position[placed] = np.arange(len(placed))
    return SparsePoints(
        points=torch.from_numpy(xyz),
        colours=torch.from_numpy(colours),
        errors_px=torch.from_numpy(errors),
        track_views=torch.from_numpy(position[seen.views]),
        track_points=torch.from_numpy(owner.astype(np.int64)),
        track_pixels=torch.from_numpy(seen.pixels.copy()),
    )


def _mean_colours(images: ImageSet, seen: Tracks, owner: ndarray, count: int) -> Float[ndarray, "p 3"]:
    """Mean colour in [0, 1] of each point's observations."""
    total, weight = np.zeros((count, 3)), np.zeros(count)
    for view in np.unique(seen.views):
        pixels = images.read_pixels(images.photos[view])
        here = seen.views == view
        cols = np.clip(seen.pixels[here, 0].astype(int), 0, pixels.shape[1] - 1)
        rows = np.clip(seen.pixels[here, 1].astype(int), 0, pixels.shape[0] - 1)
        np.add.at(total, owner[here], pixels[rows, cols] / 255.0)
        np.add.at(weight, owner[here], 1.0)
    return total / np.maximum(weight, 1.0)[:, None]
