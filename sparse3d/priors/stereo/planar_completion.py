"""What no second view confirms joins a large plane of the scene where the photo says that it belongs to one.

Interpolation between a table and what stands on it slopes from one to the other, and beyond the last sure pixel nothing holds it.
Floors, walls and tables go on. Each filled-in pixel takes the plane, or what was interpolated, whose sure pixels are nearest
along a path that avoids colour edges, where the other views do not contradict it; neighbours of like colour decide
together.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from numpy import ndarray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from sparse3d.priors.stereo.plane_sweep import PosedImage
from sparse3d.priors.stereo.planes import Plane, find_planes
from sparse3d.priors.stereo.sgm import aggregate

SIDE = 160
"""Longer side in pixels at which pixels are given to planes."""

EDGE_COST = 1.6
"""Length in longer sides of a step across a colour edge of full contrast."""

INVISIBLE_EDGE = 0.02
"""Difference of colour below which two neighbours are alike: noise and shading."""

CONTRADICTION = 1.0
"""Length in longer sides that a contradiction by one view weighs."""

UNLIKE_COLOUR = 0.15
"""Difference of blurred colours from which two views do not show the same thing."""

IN_FRONT = 0.03
"""Relative inverse depth from which a point hangs in front of what another view saw."""

ON_PLANE = 0.012
"""Relative distance within which a sure pixel belongs to a plane."""

HEAD_START = 0.05
"""Length in longer sides by which what was interpolated is preferred: planes are a guess about what nobody saw."""

MIN_PIXELS = 20
"""A plane, or the rest, needs this many sure pixels in a view to go on in it (at `SIDE`)."""

RANGE = (0.1, 1.1)
"""A plane goes on between these shares of the least and the greatest sure inverse depth of a view."""

COST_LEVELS, STEP_PENALTY = 100, 12
"""Costs are bytes for `sgm.aggregate`; and the penalty of two neighbours on different planes."""


def continue_planes(
    views: Sequence[PosedImage], inverses: Sequence[Float32[ndarray, "_h _w"]], sure: Sequence[Bool[ndarray, "_h _w"]]
) -> list[Float32[ndarray, "_h _w"]]:
    """Inverse depth with filled-in pixels on the scene's planes where these go on.

    Args:
        inverses: complete inverse depth of each view.
        sure: which pixels a second view confirms; they stay as they are.
    """
    planes = find_planes(views, inverses, sure)
    if not planes:
        return list(inverses)
    small = [view.scaled(SIDE / max(view.size)) for view in views]
    small_inverses = [_nearest(u, view) for u, view in zip(inverses, small, strict=True)]
    small_sure = [_nearest(s.astype(np.uint8), view) > 0 for s, view in zip(sure, small, strict=True)]
    completed = []
    for i, view in enumerate(views):
        costs = _costs(i, small, small_inverses, small_sure, planes)
        label = cv2.resize(_smooth_labels(costs, small[i]), view.size, interpolation=cv2.INTER_NEAREST)
        completed.append(_on_planes(view, inverses[i], sure[i], planes, label))
    return completed


def _nearest(a: ndarray, view: PosedImage) -> ndarray:
    return cv2.resize(a, view.size, interpolation=cv2.INTER_NEAREST)


def _costs(
    index: int,
    views: Sequence[PosedImage],
    inverses: Sequence[Float32[ndarray, "_h _w"]],
    sure: Sequence[Bool[ndarray, "_h _w"]],
    planes: Sequence[Plane],
) -> Float[ndarray, "label h w"]:
    """How badly each plane, and last what was interpolated, suits each pixel of a view; infinite where it cannot be."""
    view, inverse, known = views[index], inverses[index], sure[index]
    far, near = _range(inverse, known)
    paths, rest, costs = _paths(view.colour), known.copy(), []
    for plane in planes:
        there = plane.inverse_depth(view)
        members = known & (np.abs(there - inverse) < ON_PLANE * inverse)
        rest &= ~members
        possible = (there > far) & (there < near)
        against = _contradictions(index, views, np.clip(there, far, near), inverses, sure)
        costs.append(np.where(possible, _distance(paths, members) + CONTRADICTION * against, np.inf))
    against = _contradictions(index, views, np.clip(inverse, far, near), inverses, sure)
    costs.append(_distance(paths, rest) + CONTRADICTION * against - HEAD_START)
    return np.stack(costs)


def _range(inverse: Float32[ndarray, "h w"], sure: Bool[ndarray, "h w"]) -> tuple[float, float]:
    values = inverse[sure] if sure.any() else inverse[inverse > 0]
    return (RANGE[0] * float(values.min()), RANGE[1] * float(values.max())) if len(values) else (1e-6, 1e-6)


def _paths(colour: Float32[ndarray, "h w 3"]) -> csr_array:
    """The graph of neighbouring pixels; lengths in longer sides, more across colour edges."""
    height, width = colour.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    ends = []
    for rows, columns in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = (slice(0, height - rows), slice(max(0, -columns), width - max(0, columns)))
        b = (slice(rows, height), slice(max(0, columns), width - max(0, -columns)))
        contrast = np.maximum(np.abs(colour[a] - colour[b]).max(-1) - INVISIBLE_EDGE, 0)
        length = np.hypot(rows, columns) / max(height, width) + EDGE_COST * contrast
        ends.append((index[a].ravel(), index[b].ravel(), length.ravel()))
    first, second, length = (np.concatenate(x) for x in zip(*ends, strict=True))
    return coo_array((length, (first, second)), shape=(index.size, index.size)).tocsr()


def _distance(paths: csr_array, sources: Bool[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """Length of the shortest path from any of some pixels (Dijkstra 1959); infinite where they are too few."""
    if sources.sum() < MIN_PIXELS:
        return np.full(sources.shape, np.inf)
    found = dijkstra(paths, directed=False, indices=np.flatnonzero(sources.ravel()), min_only=True)
    return found.reshape(sources.shape)


def _contradictions(
    index: int,
    views: Sequence[PosedImage],
    inverse: Float32[ndarray, "h w"],
    inverses: Sequence[Float32[ndarray, "_h _w"]],
    sure: Sequence[Bool[ndarray, "_h _w"]],
) -> Float[ndarray, "h w"]:
    """In how many other views a surface would hang in front of what they saw, or look different where they should see it."""
    view = views[index]
    rotation, shift = view.cam_from_world[:3, :3], view.cam_from_world[:3, 3]
    points = (view.rays() / inverse[..., None] - shift) @ rotation
    own, total = cv2.blur(view.colour, (3, 3)), np.zeros(inverse.shape)
    for other, there in enumerate(views):
        if other == index:
            continue
        seen = points @ there.cam_from_world[:3, :3].T + there.cam_from_world[:3, 3]
        depth = np.maximum(seen[..., 2], 1e-9)
        x, y = (seen[..., k] / depth * there.K[k, k] + there.K[k, 2] for k in (0, 1))
        inside = (seen[..., 2] > 1e-9) & (x >= 0) & (y >= 0) & (x < there.size[0]) & (y < there.size[1])
        column, row = (np.clip(v, 0, top - 1).astype(int) for v, top in zip((x, y), there.size, strict=True))
        surface, known = inverses[other][row, column], sure[other][row, column] & inside
        in_front = known & (1 / depth > (1 + IN_FRONT) * surface)
        visible = inside & (~known | (1 / depth > (1 - IN_FRONT) * surface))
        unlike = np.abs(cv2.blur(there.colour, (3, 3))[row, column] - own).max(-1) > UNLIKE_COLOUR
        total += np.where(in_front, 1.0, np.where(visible & unlike, 0.7, 0.0))
    return total


def _smooth_labels(costs: Float[ndarray, "label h w"], view: PosedImage) -> UInt8[ndarray, "h w"]:
    """The best label of each pixel, neighbours of like grey together."""
    levels = np.minimum(np.nan_to_num(costs - costs.min(0), nan=1.0, posinf=1.0), 1.0) * COST_LEVELS
    volume = np.ascontiguousarray(levels.transpose(1, 0, 2)).astype(np.uint8)
    total = aggregate(volume, view.grey, STEP_PENALTY, STEP_PENALTY + 1, 0.03)
    return total.argmin(1).astype(np.uint8)


def _on_planes(
    view: PosedImage,
    inverse: Float32[ndarray, "h w"],
    sure: Bool[ndarray, "h w"],
    planes: Sequence[Plane],
    label: UInt8[ndarray, "h w"],
) -> Float32[ndarray, "h w"]:
    """Filled-in pixels on their planes."""
    far, near = _range(inverse, sure)
    result = inverse.copy()
    for number, plane in enumerate(planes):
        there = plane.inverse_depth(view)
        here = (label == number) & ~sure & (inverse > 0) & (there > far) & (there < near)
        result[here] = there[here]
    return result
