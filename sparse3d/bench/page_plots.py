"""The plots of the page."""

import statistics
from collections.abc import Mapping, Sequence

from sparse3d.bench.summary import Group, figure, value_of
from sparse3d.pipeline.report_curves import Series, draw_plot
from sparse3d.pipeline.report_html import text

PSNR = "held_out.aligned.psnr"
QUALITY = "held-out PSNR (dB)"
COLOURS = 8
"""Of the page's style sheet; methods beyond these share them."""


def quality_against_time(group: Group) -> str:
    """A dot a method; empty where fewer than two have both figures."""
    points = {}
    for method in group.methods:
        pair = [figure(group.of(method), lambda r, k=key: value_of(r, k)) for key in ("seconds", PSNR)]
        if pair[0] is not None and pair[1] is not None:
            points[method] = [(pair[0].mean, pair[1].mean)]
    return _plot(points, group.methods, QUALITY, "seconds", dots=True) if len(points) > 1 else ""


def quality_against_views(groups: Sequence[Group]) -> str:
    """A line a method over groups that differ in the number of photos alone; empty where there are not two."""
    if len({g.views for g in groups}) < 2:
        return ""
    methods = tuple(dict.fromkeys(m for g in groups for m in g.methods))
    points: dict[str, list[tuple[float, float]]] = {m: [] for m in methods}
    for group in sorted(groups, key=lambda g: g.views):
        for method in group.methods:
            found = figure(group.of(method), lambda r: value_of(r, PSNR))
            if found is not None:
                points[method].append((float(group.views), found.mean))
    return _plot({m: p for m, p in points.items() if p}, methods, QUALITY, "photos", dots=True)


def error_curves(group: Group, key: str = "loss", title: str = "training loss") -> str:
    """A line a method: the mean over its jobs of a value of the history; empty where no method tells it."""
    points = {}
    for method in group.methods:
        by_iteration: dict[float, list[float]] = {}
        for record in group.of(method):
            for entry in record["history"]:
                if entry.get(key) is not None:
                    by_iteration.setdefault(float(entry["iteration"]), []).append(entry[key])
        if len(by_iteration) > 1:
            points[method] = [(i, statistics.fmean(values)) for i, values in sorted(by_iteration.items())]
    return _plot(points, group.methods, title, "iteration", dots=False) if points else ""


def _plot(
    points: Mapping[str, Sequence[tuple[float, float]]], methods: Sequence[str], title: str, x_label: str, *, dots: bool
) -> str:
    colours = {method: i % COLOURS for i, method in enumerate(methods)}
    drawn = draw_plot([Series(p, colours[m], dots) for m, p in points.items()], title, x_label)
    names = "".join(f'<span class="key k{colours[m]}">{text(m)}</span>' for m in points)
    return f'<figure class="plot">{drawn}<figcaption>{names}</figcaption></figure>' if drawn else ""
