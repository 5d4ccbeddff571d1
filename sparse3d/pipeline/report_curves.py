"""Curves over the iterations, as SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from sparse3d.pipeline.report_text import describe_number

WIDTH, HEIGHT = 420.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 24.0, 36.0
"""Margins that hold the labels."""


def draw_curve(history: Sequence[Mapping[str, float]], key: str, title: str) -> str:
    """One value of the history over the iterations; an empty text where there are not two finite values.

    Args:
        history: entries with "iteration" and, in some of them, `key`.
        title: what is drawn, with its unit.
    """
    samples = [(float(entry["iteration"]), float(entry[key])) for entry in history if key in entry]
    samples = [(x, y) for x, y in samples if math.isfinite(x) and math.isfinite(y)]
    if len(samples) < 2 or samples[0][0] == samples[-1][0]:
        return ""
    xs, ys = [x for x, _ in samples], [y for _, y in samples]
    x_ticks, y_ticks = nice_ticks(min(xs), max(xs)), nice_ticks(min(ys), max(ys))
    low, high = min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        along = (x - min(xs)) / (max(xs) - min(xs))
        up = (y - low) / (high - low)
        return LEFT + along * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT:.0f}" y="14" class="label">{escape(title)}</text>']
    for tick in y_ticks:
        _, y = place(min(xs), tick)
        parts.append(f'<path class="axis" d="M{LEFT:.0f} {y:.1f}H{WIDTH - RIGHT:.0f}"/>')
        parts.append(f'<text x="{LEFT - 6:.0f}" y="{y + 4:.1f}" text-anchor="end">{_tick_label(tick)}</text>')
    for tick in x_ticks:
        if min(xs) <= tick <= max(xs):
            x, _ = place(tick, low)
            parts.append(
                f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16:.0f}" text-anchor="middle">{_tick_label(tick)}</text>'
            )
    parts.append(f'<text x="{WIDTH - RIGHT:.0f}" y="{HEIGHT - 4:.0f}" text-anchor="end">iteration</text>')
    line = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in samples)
    parts.append(f'<polyline class="curve" points="{line}"/>')
    description = f"{title}: from {describe_number(ys[0])} to {describe_number(ys[-1])}"
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{escape(description)}">'
        f"{''.join(parts)}</svg>"
    )


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
