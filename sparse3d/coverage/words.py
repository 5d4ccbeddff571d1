"""A place for the next photo in plain words, from the nearest photo that somebody has taken."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.coverage.places import level_axes

SMALL_STEPS = 0.2
"""A distance in steps along one direction that is not worth a word."""

SMALL_TURN_DEG = 7.0
"""A turn that is not worth a word."""

AMOUNTS = (
    (0.35, "a quarter of a step"), (0.65, "half a step"), (0.87, "three quarters of a step"), (1.25, "one step"),
    (1.75, "one and a half steps"), (2.25, "two steps"), (2.75, "two and a half steps"), (3.5, "three steps"),
)  # fmt: skip
"""Up to so many steps, in words."""


@dataclass(frozen=True)
class Description:
    """Where to stand and where to look.

    Attributes:
        near: name of the photo that it is told from.
        text: such as "one step to the left of a.jpg and half a step back, turned 20° to the right, facing what a.jpg shows in
            the middle".
    """

    near: str
    text: str


def describe_place(
    place: Float[ndarray, "4 4"], target: Float[ndarray, "3"], photos: Cameras, up: Float[ndarray, "3"], step: float
) -> Description:
    """Words for a camera.

    Args:
        place: its `world_from_cam`.
        target: what it faces: the point of the scene in the middle of its picture.
        photos: cameras with names, at their full size.
        up: of the scene, a unit vector.
        step: in scene units.
    """
    poses = photos.world_from_cam.double().numpy()
    away = np.linalg.norm(poses[:, :3, 3] - place[:3, 3], axis=1)
    turned = 1 - poses[:, :3, 2] @ place[:3, 2]
    nearest = int(np.argmin(away / step + 2 * turned))
    name, pose = photos.names[nearest], poses[nearest]
    axes = level_axes(pose, up)
    where = _where(axes @ (place[:3, 3] - pose[:3, 3]) / step, name)
    facing = _facing(target, photos.select([nearest]), name)
    return Description(name, ", ".join(part for part in (where, _turned(place, axes, pose), facing) if part))


def amount(steps: float) -> str:
    """A distance in words: "half a step", "five steps"."""
    for limit, words in AMOUNTS:
        if steps < limit:
            return words
    return f"{round(steps)} steps"


def _where(offset: Float[ndarray, "3"], name: str) -> str:
    """The offset (right, up, forward) in steps, the largest part first."""
    words = (("to the right", "to the left"), ("higher", "lower"), ("ahead", "back"))
    parts = [(abs(x), f"{amount(abs(x))} {words[k][0 if x > 0 else 1]}") for k, x in enumerate(offset.tolist())]
    told = [text for size, text in sorted(parts, key=lambda part: -part[0]) if size >= SMALL_STEPS]
    if not told:
        return f"where {name} was taken"
    first, *rest = told
    anchor = f" of {name}" if first.endswith(("right", "left")) else f" from {name}"
    return " and ".join([", ".join([first + anchor, *rest[:-1]]), *rest[-1:]])


def _turned(place: Float[ndarray, "4 4"], axes: Float[ndarray, "3 3"], pose: Float[ndarray, "4 4"]) -> str:
    """How far the camera is turned against the photo's, to the side and up or down."""

    def angles(forward: Float[ndarray, "3"]) -> tuple[float, float]:
        right, up, ahead = axes @ forward
        return float(np.degrees(np.arctan2(right, ahead))), float(np.degrees(np.arcsin(np.clip(up, -1, 1))))

    (yaw, pitch), (photo_yaw, photo_pitch) = angles(place[:3, 2]), angles(pose[:3, 2])
    aside, above = (yaw - photo_yaw + 180) % 360 - 180, pitch - photo_pitch
    parts = []
    if abs(aside) >= SMALL_TURN_DEG:
        parts.append(f"{5 * round(abs(aside) / 5)}° to the {'right' if aside > 0 else 'left'}")
    if abs(above) >= SMALL_TURN_DEG:
        parts.append(f"{5 * round(abs(above) / 5)}° {'up' if above > 0 else 'down'}")
    return "turned " + " and ".join(parts) if parts else "looking the same way"


def _facing(target: Float[ndarray, "3"], photo: Cameras, name: str) -> str:
    """Where in the photo the thing is that the new camera faces; nothing where the photo does not show it."""
    cam = photo.cam_from_world[0].double().numpy() @ np.append(target, 1.0)
    if cam[2] <= 0:
        return ""
    pixel = (photo.K[0].double().numpy() @ cam[:3])[:2] / cam[2]
    x, y = pixel / np.array(photo.sizes[0])
    if not (0 <= x <= 1 and 0 <= y <= 1):
        beyond = max((-x, "left"), (x - 1, "right"), (-y, "upper"), (y - 1, "lower"))[1]
        return f"facing what lies beyond the {beyond} edge of {name}"
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    row = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    spot = "in the middle" if not (column or row) else "at the " + " ".join(part for part in (row, column) if part)
    return f"facing what {name} shows {spot}"
