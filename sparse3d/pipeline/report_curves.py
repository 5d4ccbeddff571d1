"""Curves and dots over an axis, as SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from sparse3d.pipeline.report_text import describe_number

WIDTH, HEIGHT = 420.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 20.0, 24.0, 36.0
"""Margins that hold the labels."""


@dataclass(frozen=True)
class Series:
    """Points that belong together, in the order in which a line joins them.

    Attributes:
        points: (x, y); those that are not finite are left out.
        colour: number of the colour, by which series in several plots are one thing; 0 is the page's accent.
        dots: mark the points; a single point shows no other way.
    """

    points: Sequence[tuple[float, float]]
    colour: int = 0
    dots: bool = False

    @property
    def finite(self) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in self.points if math.isfinite(x) and math.isfinite(y)]


def draw_curve(history: Sequence[Mapping[str, float]], key: str, title: str) -> str:
    """One value of the history over the iterations; an empty text where there are not two finite values.

    Args:
        history: entries with "iteration" and, in some of them, `key`.
        title: what is drawn, with its unit.
    """
    series = Series([(float(entry["iteration"]), float(entry[key])) for entry in history if key in entry])
    samples = series.finite
    if len(samples) < 2 or samples[0][0] == samples[-1][0]:
        return ""
    start, end = (describe_number(y) for _, y in (samples[0], samples[-1]))
    return draw_plot([series], title, "iteration", description=f"{title}: from {start} to {end}")


def draw_plot(series: Sequence[Series], title: str, x_label: str, *, description: str = "") -> str:
    """Several series over one axis; an empty text where there is nothing finite.

    Args:
        title: what is drawn upward, with its unit.
        x_label: what is drawn to the right, with its unit.
        description: for those who cannot see it; the title where there is none.
    """
    samples = [point for each in series for point in each.finite]
    if not samples:
        return ""
    x_ticks, y_ticks = (nice_ticks(min(values), max(values)) for values in zip(*samples, strict=True))
    joined = not any(each.dots for each in series)  # a line ends at the frame, a dot should not
    left, right = (min(x for x, _ in samples), max(x for x, _ in samples)) if joined else (x_ticks[0], x_ticks[-1])
    low, high = y_ticks[0], y_ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        along, up = (x - left) / (right - left or 1), (y - low) / (high - low)
        return LEFT + along * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT:.0f}" y="14" class="label">{escape(title)}</text>']
    for tick in y_ticks:
        _, y = place(left, tick)
        parts.append(f'<path class="axis" d="M{LEFT:.0f} {y:.1f}H{WIDTH - RIGHT:.0f}"/>')
        parts.append(f'<text x="{LEFT - 6:.0f}" y="{y + 4:.1f}" text-anchor="end">{_tick_label(tick)}</text>')
    for tick in x_ticks:
        if left <= tick <= right:
            x, _ = place(tick, low)
            parts.append(
                f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16:.0f}" text-anchor="middle">{_tick_label(tick)}</text>'
            )
    parts.append(f'<text x="{WIDTH - RIGHT:.0f}" y="{HEIGHT - 4:.0f}" text-anchor="end">{escape(x_label)}</text>')
    for each in series:
        parts += _draw_series(each, [place(x, y) for x, y in each.finite])
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{escape(description or title)}">'
        f"{''.join(parts)}</svg>"
    )


def _draw_series(series: Series, places: Sequence[tuple[float, float]]) -> list[str]:
    colour = f" c{series.colour}" if series.colour else ""
    parts = []
    if len(places) > 1:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="curve{colour}" points="{line}"/>')
    if series.dots:
        parts += [f'<circle class="dot{colour}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places]
    return parts


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that cover an interval: steps of 1, 2 or 5 times a power of ten, about `count` of them."""
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _tick_label(value: float) -> str:
    return f"{value:,.10g}" if abs(value) < 1e-9 or 1e-4 <= abs(value) < 1e7 else f"{value:.0e}"
