"""From what matching says of each view to surfaces: the views are compared, and what no second one confirms is filled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, Int32

from sparse3d.priors.stereo.completion import complete, remove_speckles, sharpen_edges
from sparse3d.priors.stereo.confidence import confidence_of
from sparse3d.priors.stereo.consistency import Agreement, agreement, compare
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.plane_sweep import PosedImage
from sparse3d.priors.stereo.view_selection import DepthRange, Task


@dataclass(frozen=True)
class Match:
    """What matching alone says of one view: inverse depth and cost in [0, 1]."""

    inverse: Float32[np.ndarray, "h w"]
    cost: Float32[np.ndarray, "h w"]


@dataclass(frozen=True)
class Surface:
    """One view after the views were compared: complete inverse depth, confidence, support, and its neighbours' visibility."""

    inverse: Float32[np.ndarray, "h w"]
    confidence: Float32[np.ndarray, "h w"]
    support: Int32[np.ndarray, "h w"]
    visible: Mapping[int, Float32[np.ndarray, "h w"]]


EDGE_RELATIVE = 0.04
"""Relative jump of inverse depth within 3x3 pixels that counts as a depth edge."""

CONFIRMED = 0.25
"""Confidence from which a depth is kept as observed; below it the completion decides."""

COMPLETED_CONFIDENCE = 0.1
"""Confidence of completed depth."""

MIN_REGION = 1 / 4000
"""Confirmed regions smaller than this share of the image are taken for chance agreement."""


def reconcile(
    views: Sequence[PosedImage],
    matches: list[Match],
    tasks: Sequence[Task],
    config: DepthConfig,
    run: Callable,
    *,
    last: bool = True,
) -> list[Surface]:
    """Compare the views, give every pixel its confidence, and complete what is not confirmed.

    Args:
        views, matches, tasks: one a view.
        config: settings.
        run: maps a function over the views' indices.
        last: whether filled-in depth is carved by what other views see through; not worth its time in between.
    """
    inverses = [np.where(view.mask, match.inverse, 0) for view, match in zip(views, matches, strict=True)]
    photometric = [(match.cost < 0.6).astype(np.float32) for match in matches]

    def finish(i: int) -> Surface:
        found = agreement(i, views, inverses, photometric, config.agreement, tasks[i].neighbours)
        return _finish(views[i], matches[i], found, tasks[i].span, config)

    surfaces = run(finish)
    if not last:
        return surfaces

    def carve(i: int) -> Surface:
        return _carve(i, views, surfaces, config)

    return run(carve)


CARVING_STEPS = 4
"""Moves of a filled-in pixel back to what another view saw: each lands it elsewhere in that view; few pixels need
more."""


UNLIKE_COLOUR = 0.2
"""Difference of blurred colours beyond which two views do not show the same thing."""


def _carve(index: int, views: Sequence[PosedImage], surfaces: Sequence[Surface], config: DepthConfig) -> Surface:
    """Push filled-in depth that hangs in space which another view saw through back to the surface seen there.

    A view sees through a pixel where its own depth beyond is observed, and where it shows another colour than the
    pixel.
    """
    surface = surfaces[index]
    inverse = surface.inverse.copy()
    filled_in = surface.support == 0
    blurred = [cv2.blur(view.colour, (5, 5)) for view in views]
    for _ in range(CARVING_STEPS):
        for other, rival in enumerate(surfaces):
            if other != index:
                found = compare(views[index], inverse, views[other], rival.inverse, rival.confidence, config.agreement)
                there = cv2.remap(blurred[other], found.x, found.y, cv2.INTER_LINEAR)
                unlike = np.abs(there - blurred[index]).max(-1) > UNLIKE_COLOUR
                seen_through = (found.confidence >= CONFIRMED) | unlike
                blocked = filled_in & found.in_front & seen_through & (found.inverse_depth > 0)
                inverse = np.where(blocked, np.minimum(inverse, found.inverse_depth), inverse)
    return replace(surface, inverse=inverse.astype(np.float32))


def _finish(view: PosedImage, match: Match, found: Agreement, span: DepthRange, config: DepthConfig) -> Surface:
    """Confidence, clean-up and completion of one view."""
    confidence = confidence_of(match.cost, found) * view.mask
    inverse = np.where(found.support > 0, found.mean_inverse, match.inverse).astype(np.float32)
    confirmed = (found.support > 0) & (confidence >= CONFIRMED)
    steps = inverse / max(0.01 * float(np.median(inverse[view.mask])) if view.mask.any() else 1, 1e-12)
    speckle = remove_speckles(np.where(confirmed, steps, 0).astype(np.float32), int(inverse.size * MIN_REGION), 2.0)
    confirmed &= ~speckle
    weight = np.where(confirmed, confidence, 0).astype(np.float32)
    smooth = complete(inverse, weight, view.colour, config.smoothness)
    floor = np.float32(max(span.far_inverse, 1e-3 * span.near_inverse))
    smooth = np.clip(smooth, floor, span.near_inverse)
    filled = np.where(confirmed, inverse, smooth).astype(np.float32)
    sharp = sharpen_edges(filled, weight, view.colour, EDGE_RELATIVE)
    moved = np.abs(sharp - filled) > 0.02 * np.maximum(filled, 1e-12)
    kept = confirmed & ~moved
    confidence = np.where(kept, confidence, COMPLETED_CONFIDENCE) * view.mask
    support = np.where(kept, found.support, 0).astype(np.int32)
    return Surface(
        np.where(view.mask, sharp, 0).astype(np.float32), confidence.astype(np.float32), support, found.visible
    )
