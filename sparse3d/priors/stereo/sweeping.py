"""Matches from swept hypotheses, smoothed by semi-global matching: the whole range of depth, or a band around a surface."""

from collections.abc import Sequence

import cv2
import numpy as np

from sparse3d.priors.stereo.completion import sharpen_edges
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.descriptor_cost import (
    DescribedView,
    away_from_darkness,
    descriptor_costs,
    mix_costs,
    plane_count,
)
from sparse3d.priors.stereo.plane_sweep import COST_LEVELS, PosedImage, WindowMatcher, sweep
from sparse3d.priors.stereo.reconcile import EDGE_RELATIVE, Match, Surface
from sparse3d.priors.stereo.sgm import aggregate, best_hypothesis
from sparse3d.priors.stereo.view_selection import DepthRange, inverse_step


def sweep_planes(
    view: PosedImage,
    neighbours: list[PosedImage],
    span: DepthRange,
    config: DepthConfig,
    described: Sequence[DescribedView] = (),
) -> Match:
    """First pass: planes of constant inverse depth over the whole range.

    Args:
        described: the view and its neighbours, in this order, with descriptors; none to match the photos alone.

    Returns:
        The match; its cost is that of the photos' windows alone, which confidence is made for.
    """
    step = inverse_step(view, neighbours, span, config.plane_step_px)
    count = int(np.clip(np.ceil((span.near_inverse - span.far_inverse) / step) + 1, 16, config.max_planes))
    inverses = np.linspace(span.far_inverse, span.near_inverse, count)
    matcher = WindowMatcher(view, neighbours, config.coarse_window, config.colour_weight)
    volume = mixed = sweep(matcher, [float(u) for u in inverses])
    if described:
        coarse = np.linspace(inverses[0], inverses[-1], plane_count(count))
        weight = np.float32(config.descriptor_weight) * away_from_darkness(view)
        mixed = mix_costs(volume, descriptor_costs(described[0], described[1:], coarse), weight)
    total = aggregate(mixed, view.grey, config.p1, config.p2, config.edge_scale)
    index = best_hypothesis(total)
    inverse = (inverses[0] + index * (inverses[1] - inverses[0])).astype(np.float32)
    return _match(volume, index, inverse)


def sweep_band(
    view: PosedImage,
    neighbours: list[PosedImage],
    ids: list[int],
    surface: Surface,
    span: DepthRange,
    config: DepthConfig,
) -> Match:
    """Second pass: offsets from the first pass's surface, brought to full resolution along the image's edges."""
    size = view.size
    base = cv2.resize(surface.inverse, size, interpolation=cv2.INTER_LINEAR)
    weight = cv2.resize(surface.confidence, size, interpolation=cv2.INTER_NEAREST)
    base = sharpen_edges(base, weight, view.colour, EDGE_RELATIVE, radius=4)
    visible = [cv2.resize(surface.visible[j], size, interpolation=cv2.INTER_NEAREST) for j in ids]
    step = np.float32(inverse_step(view, neighbours, span, config.band_step_px))
    floor = np.float32(max(span.far_inverse, 1e-3 * span.near_inverse))
    offsets = [np.maximum(base + k * step, floor) for k in range(-config.band, config.band + 1)]
    matcher = WindowMatcher(view, neighbours, config.fine_window, config.colour_weight)
    volume = sweep(matcher, offsets, visible)
    total = aggregate(volume, view.grey, config.p1, config.p2, config.edge_scale)
    index = best_hypothesis(total)
    inverse = np.maximum(base + (index - config.band) * step, floor).astype(np.float32)
    return _match(volume, index, inverse)


def _match(volume: np.ndarray, index: np.ndarray, inverse: np.ndarray) -> Match:
    """Look up the raw cost at the chosen hypothesis."""
    nearest = np.clip(np.rint(index), 0, volume.shape[1] - 1).astype(np.int64)[:, None, :]
    cost = np.take_along_axis(volume, nearest, 1)[:, 0].astype(np.float32) / COST_LEVELS
    return Match(inverse, cost)
