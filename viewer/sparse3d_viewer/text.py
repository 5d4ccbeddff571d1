"""Words for the panel, as HTML in which everything that came from outside is escaped and without paths of the disk."""

from collections.abc import Mapping
from html import escape

from sparse3d.pipeline.report_text import flatten, hide_paths, spell_key, untold_unplaced
from sparse3d_viewer.scene import DisplayScene

_BLOCK = "<div style='padding:0.2em 1em;font-size:0.85em;line-height:1.45;overflow-wrap:anywhere'>{}</div>"


def overview(scene: DisplayScene) -> str:
    """How much of what there is."""
    counts = [f"{len(scene.centres):,} Gaussians", f"{len(scene.viewpoints)} photos placed"]
    if not scene.points_are_centres:
        counts.append(f"{len(scene.points.positions):,} sparse points")
    lines = " · ".join(counts)
    if scene.dropped:
        lines += f"<br>{scene.dropped:,} Gaussians with numbers that are not finite are not shown"
    return _BLOCK.format(lines)


def metrics_table(metrics: Mapping[str, object]) -> str:
    """A table of figures; nested ones get their parent's name in front."""
    rows = "".join(
        f"<tr><td style='padding-right:1em'>{_clean(spell_key(name))}</td>"
        f"<td style='text-align:right'>{_clean(value)}</td></tr>"
        for name, value in flatten(metrics)
    )
    return _BLOCK.format(f"<table>{rows}</table>")


def warnings_list(warnings: tuple[str, ...], unplaced: tuple[tuple[str, str], ...]) -> str:
    """The run's warnings and the photos that were left out, as a list."""
    items = [_clean(sentence) for sentence in warnings]
    items += [
        f"<b>{_clean(name)}</b> could not be placed: {_clean(reason)}"
        for name, reason in untold_unplaced(warnings, unplaced)
    ]
    return _BLOCK.format(f"<ul style='margin:0;padding-left:1.1em'>{''.join(f'<li>{i}</li>' for i in items)}</ul>")


def _clean(words: str) -> str:
    return escape(hide_paths(words))
