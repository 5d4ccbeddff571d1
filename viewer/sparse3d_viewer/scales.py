"""Figures in colours: what the coldest and the warmest colour mean, and the legend that says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

NO_COLOUR = (120, 120, 120)
"""Of what is not known."""

STOPS = 9
"""Of the legend's bar."""


def turbo(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """OpenCV's turbo colours (... 3), blue at `low`, red at `high`; `NO_COLOUR` where a value is not finite."""
    known = np.isfinite(values)
    level = np.clip((np.where(known, values, low) - low) / max(high - low, 1e-12), 0, 1)
    bytes_ = np.round(255 * level).astype(np.uint8).reshape(-1, 1)
    coloured = cv2.applyColorMap(bytes_, cv2.COLORMAP_TURBO)[:, 0, ::-1].reshape(*values.shape, 3)
    return np.where(known[..., None], coloured, np.array(NO_COLOUR)).astype(np.uint8)


@dataclass(frozen=True)
class Scale:
    """The range of a layer's figures.

    Attributes:
        low, high: figures of the coldest and the warmest colour.
        unit: of the figures, in words; empty where they have none.
        logarithmic: equal ratios are equally far apart, not equal differences; both ends are positive.
    """

    low: float
    high: float
    unit: str = ""
    logarithmic: bool = False

    def colours(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Colours (... 3) of figures; `NO_COLOUR` where one is not finite."""
        if not self.logarithmic:
            return turbo(values, self.low, self.high)
        known = np.isfinite(values)
        levels = np.where(known, np.log(np.maximum(np.where(known, values, self.low), self.low)), np.nan)
        return turbo(levels, np.log(self.low), np.log(self.high))

    @property
    def middle(self) -> float:
        """The figure of the colour half-way."""
        return float(np.sqrt(self.low * self.high)) if self.logarithmic else (self.low + self.high) / 2

    def legend(self, title: str) -> str:
        """A bar with its ends and middle, as HTML."""
        stops = ",".join("rgb({},{},{})".format(*turbo(np.array([t]), 0, 1)[0]) for t in np.linspace(0, 1, STOPS))
        ends = "".join(f"<span>{value:.3g}</span>" for value in (self.low, self.middle, self.high))
        unit = f"<div style='opacity:0.7'>{escape(self.unit)}</div>" if self.unit else ""
        return (
            f"<div>{escape(title)}</div><div style='height:0.7em;border-radius:2px;"
            f"background:linear-gradient(90deg,{stops})'></div>"
            f"<div style='display:flex;justify-content:space-between'>{ends}</div>{unit}"
        )


def joined(scales: Sequence[Scale]) -> Scale:
    """One scale that holds the figures of several, which are of one layer."""
    return Scale(
        min(scale.low for scale in scales),
        max(scale.high for scale in scales),
        scales[0].unit,
        scales[0].logarithmic,
    )
