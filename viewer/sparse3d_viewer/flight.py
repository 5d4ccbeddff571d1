"""A short flight from one place to another, by which one sees where one goes."""

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from sparse3d_viewer.keyframes import Keyframe

FLIGHT_S = 0.5
STEPS = 12
"""Of a flight: more than a slow browser draws in its time."""

AT_REST = 1e-4
"""An eye that would move and turn by less, in display units and radians, is there already."""


def flight(start: Keyframe, goal: Keyframe) -> list[Keyframe]:
    """The places on the way, slow at both ends; the last is the goal itself, and the only one where start and goal are alike."""
    turns = Rotation.from_quat(np.stack([start.wxyz, goal.wxyz]), scalar_first=True)
    if np.linalg.norm(goal.position - start.position) < AT_REST and (turns[0].inv() * turns[1]).magnitude() < AT_REST:
        return [goal]
    times = np.linspace(0, 1, STEPS + 1)[1:-1]
    eased = times**2 * (3 - 2 * times)
    quats = Slerp([0, 1], turns)(eased).as_quat(scalar_first=True)
    return [
        Keyframe(
            start.position + t * (goal.position - start.position),
            wxyz,
            start.fov_y_rad + t * (goal.fov_y_rad - start.fov_y_rad),
        )
        for t, wxyz in zip(eased, quats, strict=True)
    ] + [goal]
