"""Where the cameras stand, drawn from above and from the side as SVG."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.upright import scene_up

WIDTH, HEIGHT, MARGIN = 420.0, 340.0, 26.0

MAX_POINTS = 1500
"""Dots drawn for the scene: enough to recognise it, few enough to keep the report small."""

POINTS_PERCENTILES = (3.0, 97.0)
"""The drawing's extent covers this range of the points, so that a few strays do not shrink the rest."""

CAMERA_LENGTH = 0.09
"""Length of a drawn camera as a part of the drawing's extent."""

LABEL_GAP = 11.0
"""From a camera to its number, and between numbers: the height of the letters."""


def draw_layout(
    cameras: Cameras, points: Float[ndarray, "p 3"] | None, ghosts: Sequence[Cameras] = ()
) -> tuple[str, str]:
    """Cameras and points seen from above and from the side.

    Args:
        cameras: numbered from 1 in the drawing; those without a pose are left out.
        points: of the scene, in the same world; not finite ones are ignored.
        ghosts: places for further photos, one camera each, which get the labels +1, +2 and so on.

    Returns:
        Two SVG texts: from above (the photos' mean forward direction goes up the page) and from the side (forward goes to
        the right). Empty texts where no camera has a pose.
    """
    world_from_cam = cameras.world_from_cam.to(torch.float64).numpy()
    placed = [i for i in range(len(cameras)) if np.isfinite(world_from_cam[i]).all() and cameras.K[i].isfinite().all()]
    if not placed:
        return "", ""
    up = scene_up(cameras)
    forward = world_from_cam[placed, :3, 2].sum(0)
    forward = forward - (forward @ up) * up
    if np.linalg.norm(forward) < 1e-6 * len(placed):  # cameras all around or straight down: any direction serves
        forward = np.cross(up, world_from_cam[placed[0], :3, 0])
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, up)
    dots = np.zeros((0, 3)) if points is None else np.asarray(points, np.float64)
    dots = dots[np.isfinite(dots).all(-1)]
    dots = dots[:: max(1, -(-len(dots) // MAX_POINTS))]
    outlines = {f"{i + 1}": _outline(world_from_cam[i], cameras, i) for i in placed}
    for i, ghost in enumerate(ghosts, 1):
        outlines[f"+{i}"] = _outline(ghost.world_from_cam[0].to(torch.float64).numpy(), ghost, 0)
    above = _draw_plane(outlines, dots, np.stack([right, forward]), "Cameras and scene from above")
    side = _draw_plane(outlines, dots, np.stack([forward, up]), "Cameras and scene from the side")
    return above, side


def _outline(
    world_from_cam: Float[ndarray, "4 4"], cameras: Cameras, view: int
) -> tuple[Float[ndarray, "3"], Float[ndarray, "4 3"]]:
    """A camera's centre and the directions of the corners of its photo, at unit depth."""
    width, height = cameras.sizes[view]
    half_x = width / (2 * float(cameras.K[view, 0, 0]))
    half_y = height / (2 * float(cameras.K[view, 1, 1]))
    corners_cam = np.array(
        [[x, y, 1.0] for x, y in ((-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y))]
    )
    return world_from_cam[:3, 3], corners_cam @ world_from_cam[:3, :3].T


def _draw_plane(
    outlines: dict[str, tuple[Float[ndarray, "3"], Float[ndarray, "4 3"]]],
    dots: Float[ndarray, "p 3"],
    plane_from_world: Float[ndarray, "2 3"],
    title: str,
) -> str:
    centres = np.stack([centre for centre, _ in outlines.values()]) @ plane_from_world.T
    flat = dots @ plane_from_world.T
    covered = centres if len(flat) == 0 else np.concatenate([centres, np.percentile(flat, POINTS_PERCENTILES, axis=0)])
    low, high = covered.min(0), covered.max(0)
    extent = float(max(high - low)) or 1.0
    length = CAMERA_LENGTH * extent
    low, high = low - length, high + length
    room = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
    scale = float((room / (high - low)).min())
    middle = (low + high) / 2

    def place(points: Float[ndarray, "m 2"]) -> Float[ndarray, "m 2"]:
        return np.array([WIDTH / 2, HEIGHT / 2]) + scale * (points - middle) * [1, -1]

    on_page = place(flat)
    on_page = on_page[((on_page > 0) & (on_page < [WIDTH, HEIGHT])).all(-1)]
    parts = [f'<path class="points" d="{"".join(f"M{x:.1f} {y:.1f}h0" for x, y in on_page)}"/>']
    labels: list[str] = []
    taken: list[tuple[float, float]] = []
    for number, (centre, corners) in outlines.items():
        tip = place(centre[None] @ plane_from_world.T)[0]
        ends = place((centre + length * corners) @ plane_from_world.T)
        first, second = _widest(tip, ends)
        kind = "camera ghost" if number.startswith("+") else "camera"
        parts.append(
            f'<path class="{kind}" d="M{tip[0]:.1f} {tip[1]:.1f}L{first[0]:.1f} {first[1]:.1f}'
            f'L{second[0]:.1f} {second[1]:.1f}Z"/>'
        )
        away = tip - (first + second) / 2
        x, y = _free_place(tip + LABEL_GAP * away / max(float(np.linalg.norm(away)), 1e-9), taken)
        labels.append(f'<text class="label" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{number}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{title}">{"".join(parts + labels)}</svg>'
    )


def _free_place(wanted: Float[ndarray, "2"], taken: list[tuple[float, float]]) -> tuple[float, float]:
    """The place nearest above or below the wanted one where a number covers no earlier one; it is noted as taken."""
    x = float(wanted[0])
    for step in (0, 1, -1, 2, -2, 3, -3):
        y = float(wanted[1]) + step * LABEL_GAP
        if all(abs(x - x0) > LABEL_GAP or abs(y - y0) >= LABEL_GAP for x0, y0 in taken):
            break
    taken.append((x, y))
    return x, y


def _widest(tip: Float[ndarray, "2"], ends: Float[ndarray, "4 2"]) -> tuple[Float[ndarray, "2"], Float[ndarray, "2"]]:
    """Of a photo's four corners on the page the two that span the widest angle at the camera."""
    pairs = [(a, b) for a in range(4) for b in range(a)]
    rays = ends - tip
    angles = [abs(rays[a][0] * rays[b][1] - rays[a][1] * rays[b][0]) for a, b in pairs]
    a, b = pairs[int(np.argmax(angles))]
    return ends[a], ends[b]
