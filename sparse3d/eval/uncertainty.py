"""How far the colour error that a run expects agrees with the one found in photos that it has not seen, and a law between the two.

Pixels are paired: the expected error as blended from the Gaussians (the layer `uncertainty`), and the mean absolute colour
error of the rendering there. The order of the expected errors is judged by the sparsification error; a power law through the
pairs turns them into errors of the right size (recalibration of a regressor on data kept apart, Kuleshov et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.coverage import at_scoring_resolution
from sparse3d.eval.depth_metrics import sparsification
from sparse3d.eval.image_metrics import Image, mask_to_scoring_resolution, to_scoring_resolution
from sparse3d.eval.render_views import render_camera, render_values
from sparse3d.render.rasterise import RenderOptions

RAW_LAYER = "uncertainty"
"""Of a run folder: what `optim.terms.uncertainty` leaves."""
CALIBRATED_LAYER = "uncertainty_calibrated"
"""Of a run folder: the same by the power law of the last evaluation."""

DRAWN = 0.5
"""Opacity from which a pixel counts: what shines through a thinner one is the background, of which no Gaussian says anything."""

MAX_PAIRS = 200_000
"""Of all photos together; a law of two numbers needs no more."""

BINS = 20
"""Groups of equal size, by the raw figure, whose mean errors a power law is fitted to."""


@dataclass(frozen=True)
class PowerLaw:
    """`error = factor * raw ** exponent`, which grows with the raw figure."""

    factor: float
    exponent: float

    def __call__(self, raw: Float[ndarray, "*any"]) -> Float[ndarray, "*any"]:
        return self.factor * raw**self.exponent


class Pairs(NamedTuple):
    """Pixels of photos that a run has not seen.

    Attributes:
        raw: the colour error expected, positive.
        errors: the mean absolute colour error found, of colours in [0, 1].
    """

    raw: Float[ndarray, " n"]
    errors: Float[ndarray, " n"]


@dataclass(frozen=True)
class UncertaintyScore:
    """What the expected colour errors of a run are worth.

    Attributes:
        photos, pairs: how many the figures come from.
        mean_error: found.
        mean_expected: by the raw layer.
        factor, exponent: of the power law from what was expected to what was found.
        ause: of the raw layer's order, see `depth_metrics.Sparsification`; a power law does not change the order.
        ause_of_random: as a share of that of a random order; NaN where all errors are equal.
    """

    photos: int
    pairs: int
    mean_error: float
    mean_expected: float
    factor: float
    exponent: float
    ause: float
    ause_of_random: float

    @property
    def law(self) -> PowerLaw:
        return PowerLaw(self.factor, self.exponent)


def pairs_at(
    scene: Reconstruction,
    camera: Cameras,
    photo: Image,
    values: Float[ndarray, " n"],
    mask: Bool[ndarray, "h w"],
    options: RenderOptions,
) -> Pairs:
    """The pixels of one photo, at the scoring resolution, where something is drawn.

    Args:
        scene: made without the photo.
        camera: the photo's, at its size, in the scene's world.
        photo: in [0, 1].
        values: expected errors of the scene's Gaussians, positive.
        mask: pixels that count; at the photo's size.
    """
    small = at_scoring_resolution(camera)
    [view] = render_camera(scene, small, options)
    raw = render_values(scene, small, values, options)
    errors = np.abs(view.rgb.clip(0, 1) - to_scoring_resolution(photo)).mean(-1)
    counted = (view.alpha >= DRAWN) & (raw > 0) & mask_to_scoring_resolution(mask)
    return Pairs(raw[counted].astype(np.float64), errors[counted])


def at_most(pairs: Pairs, limit: int, *, seed: int) -> Pairs:
    """So many of them by chance, in their order; all if they are no more."""
    if len(pairs.raw) <= limit:
        return pairs
    chosen = np.sort(np.random.default_rng(seed).choice(len(pairs.raw), limit, replace=False))
    return Pairs(pairs.raw[chosen], pairs.errors[chosen])


def score_uncertainty(photos: Sequence[Pairs]) -> UncertaintyScore:
    """Compare what was expected with what was found, over the pixels of all photos.

    Raises:
        ValueError: there are fewer pixels than `BINS`.
    """
    shown = [pairs for pairs in photos if len(pairs.raw)]
    raw, errors = (np.concatenate([np.empty(0), *(pairs[k] for pairs in shown)]) for k in range(2))
    law = fit_power_law(raw, errors)
    order = sparsification(-raw, errors)
    return UncertaintyScore(
        photos=len(shown),
        pairs=len(raw),
        mean_error=float(errors.mean()),
        mean_expected=float(raw.mean()),
        factor=law.factor,
        exponent=law.exponent,
        ause=order.ause,
        ause_of_random=order.ause_of_random,
    )


def fit_power_law(raw: Float[ndarray, " _n"], errors: Float[ndarray, " _m"]) -> PowerLaw:
    """The power law from a raw uncertainty to the error that was measured beside it.

    Fitted to the means of groups of equal size: single errors scatter over decades, and least squares of their
    logarithms would find their median rather than their mean. An exponent below 0 is taken as 0: then the raw figure tells nothing.

    Args:
        raw: positive.
        errors: absolute errors, as many.

    Raises:
        ValueError: fewer pairs than groups, or lengths that differ.
    """
    if len(raw) != len(errors) or len(raw) < BINS:
        raise ValueError(
            f"a power law of {len(raw)} uncertainties and {len(errors)} errors: expected {BINS} pairs or more"
        )
    groups = np.array_split(np.argsort(raw, kind="stable"), BINS)
    x = np.log([raw[g].mean() for g in groups])
    y = np.log([max(float(errors[g].mean()), 1e-9) for g in groups])
    spread = float(((x - x.mean()) ** 2).sum())
    exponent = max(0.0, float(((x - x.mean()) * (y - y.mean())).sum()) / spread) if spread > 1e-12 else 0.0
    means = np.exp(exponent * x)
    return PowerLaw(float(errors.mean() / means.mean()), exponent)
