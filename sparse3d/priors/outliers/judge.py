"""Which photo, if any, does not belong: the verdict over all photos' fits."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.priors.outliers.config import OutlierConfig
from sparse3d.priors.outliers.fit import Fit

MIN_PHOTOS = 3
"""Two that differ do not tell which one is wrong."""
SHARED_RATIO, MIN_SHARED = 2, 20
"""Of three photos, two must share this many times more sparse points with one another than either with the third, and so many:
stereo finds chance surfaces between any two photos, but not matches."""


def told(fit: Fit, config: OutlierConfig) -> bool:
    """Whether the others show enough of what a photo shows."""
    return fit.pixels >= config.min_pixels and fit.covered >= config.min_covered


def odd_one_out(fits: Sequence[Fit], points: SparsePoints, config: OutlierConfig) -> int | None:
    """The view that does not belong, or None.

    One that is wrong may spoil others' fits, too. Those agree on the less, so that of several the one goes first without which
    most is agreed on.
    """
    if len(fits) < MIN_PHOTOS:
        return None
    odd = [view for view, fit in enumerate(fits) if told(fit, config) and fit.agreement < config.left_out_below]
    if len(fits) == MIN_PHOTOS:
        shared = shared_points(points, len(fits))
        odd = [view for view in odd if _two_against_one(view, shared)]
    return max(odd, key=lambda view: fits[view].agreed) if odd else None


def shared_points(points: SparsePoints, views: int) -> Int[ndarray, "v v"]:
    """How many sparse points each two views see."""
    seen = np.zeros((views, len(points.points)), np.int64)
    seen[points.track_views.numpy(), points.track_points.numpy()] = 1
    return seen @ seen.T


def _two_against_one(view: int, shared: Int[ndarray, "v v"]) -> bool:
    first, second = (v for v in range(len(shared)) if v != view)
    among = shared[first, second]
    return bool(among >= max(MIN_SHARED, SHARED_RATIO * max(shared[view, first], shared[view, second])))
