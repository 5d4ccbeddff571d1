"""Places where somebody could stand for the next photo: steps from the photos' own places, and between them.

Lengths are in steps: what lies between neighbouring photos is what whoever took them thought a step.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.upright import scene_up

SIDEWAYS, ASIDE_OF, VERTICAL, BACK, AHEAD = 1.0, 2.0, 0.5, 1.0, 0.6
"""In steps: beside a photo's place, farther beside it, above and below, behind, before."""

LARGEST_RISE = 0.15
"""Of the distance to the scene: how far a place may be above or below a photo's, since people do not fly."""

OUTWARD_DEG = 20.0
"""How far a place to the side may be turned away from what the photo looks at, to see what lies beside."""

STEP_SHARES = (0.04, 0.4)
"""The least and the most that a step may be of the distance to the scene: for photos from one spot, and from afar."""

TAKEN_STEPS, TAKEN_DEG = 0.35, 12.0
"""What is nearer to a photo than this, and looks the same way, is that photo again."""

MAX_PLACES = 28
"""Looked at closely: each costs a picture and its derivatives."""

SAME_DEG = 20.0
"""A turn that counts as much as a step when places are compared."""


def step_length(cameras: Cameras, focus: Float[ndarray, " view"]) -> float:
    """The median distance between neighbouring photos, in scene units.

    Args:
        cameras: of the photos.
        focus: distance from each to what it shows.
    """
    centres = cameras.centres.double().numpy()
    away = np.linalg.norm(centres[:, None] - centres[None], axis=2) + np.diag(np.full(len(centres), np.inf))
    usual = float(np.median(focus))
    between = float(np.median(away.min(1))) if len(centres) > 1 else np.inf
    return float(np.clip(between, STEP_SHARES[0] * usual, STEP_SHARES[1] * usual))


def level_axes(world_from_cam: Float[ndarray, "4 4"], up: Float[ndarray, "3"]) -> Float[ndarray, "3 3"]:
    """Rows: right, up and forward as somebody feels them who stands upright behind a camera.

    A camera that looks straight up or down has no forward on the ground: then the top of its picture is ahead.
    """
    forward = world_from_cam[:3, 2] - (world_from_cam[:3, 2] @ up) * up
    if np.linalg.norm(forward) < 0.2:
        top = -world_from_cam[:3, 1]
        forward = top - (top @ up) * up
    forward = forward / np.linalg.norm(forward)
    return np.stack([np.cross(forward, up), up, forward])


def propose(cameras: Cameras, focus: Float[ndarray, " view"], step: float) -> Cameras:
    """Cameras of places around the photos, those left out that repeat a photo.

    Args:
        cameras: of the photos, poses known.
        focus: distance from each to what it shows, along its axis.
        step: `step_length`.
    """
    poses = cameras.world_from_cam.double().numpy()
    up = scene_up(cameras)
    built: list[tuple[int, Float[ndarray, "4 4"]]] = []
    for i, pose in enumerate(poses):
        built += [(i, place) for place in _around(pose, up, float(focus[i]), step)]
    for i, j in itertools.combinations(range(len(poses)), 2):
        if np.linalg.norm(poses[i][:3, 3] - poses[j][:3, 3]) < 4 * step:
            targets = np.stack([poses[k][:3, 3] + focus[k] * poses[k][:3, 2] for k in (i, j)])
            between = poses[[i, j], :3, 3].mean(0)
            built.append((i, look_at(between, targets.mean(0), up, poses[i])))
    kept = _spread([entry for entry in built if not _repeats(entry[1], poses, step)], poses, step)
    if not kept:
        return cameras.select([])
    cam_from_world = se3.invert(torch.from_numpy(np.stack([pose for _, pose in kept])))
    picked = cameras.select([i for i, _ in kept])
    return picked.replace(
        cam_from_world=cam_from_world,
        distortion=torch.zeros_like(picked.distortion),
        names=tuple(f"place {n}" for n in range(len(kept))),
    )


def look_at(
    centre: Float[ndarray, "3"], target: Float[ndarray, "3"], up: Float[ndarray, "3"], like: Float[ndarray, "4 4"]
) -> Float[ndarray, "4 4"]:
    """A camera at a centre, `world_from_cam`, that looks at a target and is held as upright as another one."""
    forward = target - centre
    forward = forward / np.linalg.norm(forward)
    tilted = like[:3, :3].T @ up  # where up is in the other camera's axes: keep its roll
    roll = np.arctan2(tilted[0], -tilted[1]) if np.hypot(tilted[0], tilted[1]) > 0.2 else 0.0
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 0.2:
        right = like[:3, 0] - (like[:3, 0] @ forward) * forward
        roll = 0.0
    right = right / np.linalg.norm(right)
    down = np.cross(forward, right)
    turned = np.stack(
        [np.cos(roll) * right - np.sin(roll) * down, np.cos(roll) * down + np.sin(roll) * right, forward], 1
    )
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turned, centre
    return pose


def _around(
    pose: Float[ndarray, "4 4"], up: Float[ndarray, "3"], focus: float, step: float
) -> list[Float[ndarray, "4 4"]]:
    """Places about one photo's, that look at what it looks at, or beside it."""
    axes = level_axes(pose, up)
    rise = min(VERTICAL * step, LARGEST_RISE * focus)
    ahead = min(AHEAD * step, 0.3 * focus)
    target = pose[:3, 3] + focus * pose[:3, 2]
    places = []
    for right, above, forward in (
        (-SIDEWAYS * step, 0, 0), (SIDEWAYS * step, 0, 0), (-ASIDE_OF * step, 0, 0), (ASIDE_OF * step, 0, 0),
        (0, rise, 0), (0, -rise, 0), (0, 0, -BACK * step), (0, 0, ahead),
    ):  # fmt: skip
        centre = pose[:3, 3] + np.array([right, above, forward]) @ axes
        places.append(look_at(centre, target, up, pose))
        if right:
            outward = np.radians(OUTWARD_DEG) * np.sign(right)
            turn = se3.so3_exp(torch.from_numpy(-outward * up)).numpy()
            places.append(look_at(centre, centre + turn @ (focus * pose[:3, 2]), up, pose))
    return places


def _repeats(place: Float[ndarray, "4 4"], poses: Float[ndarray, "view 4 4"], step: float) -> bool:
    """Whether a place is that of a photo already."""
    near = np.linalg.norm(poses[:, :3, 3] - place[:3, 3], axis=1) < TAKEN_STEPS * step
    alike = poses[:, :3, 2] @ place[:3, 2] > np.cos(np.radians(TAKEN_DEG))
    return bool((near & alike).any())


def _spread(
    built: Sequence[tuple[int, Float[ndarray, "4 4"]]], poses: Float[ndarray, "view 4 4"], step: float
) -> list[tuple[int, Float[ndarray, "4 4"]]]:
    """At most `MAX_PLACES`, each as far as can be from the photos and from those before it, in place and direction."""

    def features(pose: Float[ndarray, "4 4"]) -> Float[ndarray, "6"]:
        return np.concatenate([pose[:3, 3] / step, pose[:3, 2] / np.radians(SAME_DEG)])

    if len(built) <= MAX_PLACES:
        return list(built)
    held = np.stack([features(pose) for _, pose in built])
    away = np.linalg.norm(held[:, None] - np.stack([features(p) for p in poses])[None], axis=2).min(1)
    picked = []
    for _ in range(MAX_PLACES):
        best = int(away.argmax())
        picked.append(best)
        away = np.minimum(away, np.linalg.norm(held - held[best], axis=1))
    return [built[i] for i in sorted(picked)]
