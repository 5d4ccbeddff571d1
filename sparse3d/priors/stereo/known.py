"""What the user knows of the cameras: taken over into the model, checked against the photos, and completed."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import Model, normalise
from sparse3d.priors.stereo.two_view import MatchGraph, sampson_px

GROSS_ERROR = 0.01
"""Median epipolar error over the photo's longer side from which given cameras are said not to fit the photos."""

FOCAL_GRID = np.geomspace(0.4, 4.0, 60)
"""Ratios of the focal length to the longer side tried where poses are known and intrinsics are not; 4 % apart."""


def initial_model(images: ImageSet, known: Cameras | None, config: CameraConfig) -> Model:
    """The model before anything is estimated: given values where known, NaN poses and unit focal lengths elsewhere.

    Raises:
        InputError: the given cameras are not one a photo.
    """
    count = len(images)
    sizes = np.array(images.sizes, dtype=np.float64)
    keys = [(p.camera_model, tuple(sorted(p.size)), "" if config.share_intrinsics else p.name) for p in images.photos]
    numbers = {key: n for n, key in enumerate(dict.fromkeys(keys))}
    model = Model(
        cam_from_world=np.full((count, 4, 4), np.nan),
        focal=sizes.max(1, keepdims=True) * np.ones((1, 2)),
        centre=sizes / 2,
        middle=sizes / 2,
        distortion=np.zeros((count, 4)),
        lens=np.zeros((count, 4)),
        group=np.array([numbers[key] for key in keys]),
        pose_free=np.ones(count, bool),
        intrinsics_free=np.ones(count, bool),
        long_side=sizes.max(1),
        exif_focal=np.array([np.nan if p.focal_px is None else p.focal_px for p in images.photos]),
    )
    return model if known is None else _with_known(model, images, known, config)


def _with_known(model: Model, images: ImageSet, known: Cameras, config: CameraConfig) -> Model:
    if len(known) != len(images):
        raise InputError(f"{len(known)} given cameras for {len(images)} photos: expected one a photo")
    known = known.resized(images.sizes)
    has_pose, has_k = np.array(known.pose_known), np.array(known.intrinsics_known)
    K, pose = known.K.double().cpu().numpy(), known.cam_from_world.double().cpu().numpy()
    focal = np.where(has_k[:, None], K[:, [0, 1], [0, 1]], model.focal)
    exif = np.where(has_k, focal.mean(1), model.exif_focal)
    for group in set(model.group[has_k].tolist()):
        # Photos of the same camera without given intrinsics: the given ones are their expected value.
        same = (model.group == group) & ~has_k & ~np.isfinite(exif)
        exif[same] = np.median(focal[(model.group == group) & has_k].mean(1))
    distortion = np.where(has_k[:, None], known.distortion.double().cpu().numpy(), 0.0)
    # Given intrinsics may differ photo by photo: each distinct focal length stays a group of its own.
    group = model.group.copy()
    values = {}
    for view in np.flatnonzero(has_k):
        key = (known.groups[view], *np.round(focal[view], 3))
        group[view] = values.setdefault(key, model.group.max() + 1 + len(values))
    return replace(
        model,
        cam_from_world=np.where(has_pose[:, None, None], pose, np.nan),
        focal=focal,
        centre=np.where(has_k[:, None], K[:, :2, 2], model.centre),
        middle=np.where(has_k[:, None], K[:, :2, 2], model.middle),
        distortion=distortion,
        lens=distortion,
        group=group,
        pose_free=~has_pose | config.free_known_poses,
        intrinsics_free=~has_k | config.free_known_intrinsics,
        exif_focal=exif,
    )


def essential_of(model: Model, i: int, j: int) -> Float[ndarray, "3 3"]:
    """Essential matrix of two placed views, `ray_j^T E ray_i = 0` on normalised coordinates."""
    a, b = model.cam_from_world[i], model.cam_from_world[j]
    rotation = b[:3, :3] @ a[:3, :3].T
    t = b[:3, 3] - rotation @ a[:3, 3]
    return np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]]) @ rotation


def epipolar_errors(model: Model, graph: MatchGraph) -> Float[ndarray, " n"]:
    """Sampson errors, in matching pixels, of all verified matches between placed views."""
    placed = model.placed
    parts: list[ndarray] = [np.zeros(0)]
    for pair in graph.pairs:
        if placed[pair.i] and placed[pair.j]:
            a, b = (
                normalise(model, np.full(len(pair.matches), view), graph.pixels[view][pair.matches[:, column]])
                for view, column in ((pair.i, 0), (pair.j, 1))
            )
            per_ray = np.mean([model.focal[v].mean() / graph.scales[v] for v in (pair.i, pair.j)])
            parts.append(sampson_px(essential_of(model, pair.i, pair.j), a, b) * per_ray)
    return np.concatenate(parts)


def search_focal(model: Model, graph: MatchGraph, config: CameraConfig) -> Model:
    """The focal length, one ratio for all free groups, at which given poses explain the matches best."""
    free = model.intrinsics_free & ~np.isfinite(model.exif_focal)
    model = replace(model, focal=np.where(
        (model.intrinsics_free & np.isfinite(model.exif_focal))[:, None], model.exif_focal[:, None], model.focal
    ))  # fmt: skip
    if not free.any() or model.placed.sum() < 2:
        return model
    costs = []
    for ratio in FOCAL_GRID:
        errors = epipolar_errors(with_ratio(model, free, ratio), graph) / config.max_error_px
        prior = 0.5 * (np.log(ratio / config.focal_prior_ratio) / config.focal_prior_sigma) ** 2
        costs.append(float(np.minimum(errors**2, 9.0).sum() + prior))
    return with_ratio(model, free, float(FOCAL_GRID[int(np.argmin(costs))]))


def with_ratio(model: Model, views: ndarray, ratio: float) -> Model:
    """The model with a focal length over the longer side in some views."""
    return replace(model, focal=np.where(views[:, None], ratio * model.long_side[:, None], model.focal))
