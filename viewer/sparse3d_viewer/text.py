"""Words for the panel, as HTML in which everything that came from outside is escaped and without paths of the disk."""

from collections.abc import Mapping
from html import escape

from sparse3d.core.coverage import Coverage
from sparse3d.pipeline.report_text import flatten, hide_paths, spell_key, untold_unplaced
from sparse3d_viewer.run import LoadedRun
from sparse3d_viewer.scene import DisplayScene
from sparse3d_viewer.session import Box

_BLOCK = "<div style='padding:0.2em 1em;font-size:0.85em;line-height:1.45;overflow-wrap:anywhere'>{}</div>"


PICTURE_LEGENDS = {
    "Depth": "near is warm, far is cold; drawn when the eye rests",
    "Normals": "red: to the right, green: up, blue: towards you; drawn when the eye rests",
    "Rendered colour": "colours as trained, which may change with the direction; drawn when the eye rests",
}


UNALIGNED = "not aligned with the first run: fewer than two photos in common"

PER_PIXEL = "<div>for each pixel, the mean over what it shows; drawn when the eye rests</div>"


def legend(of_figures: str, layer: str, *, per_pixel: bool = False) -> str:
    """What a layer's colours mean; empty where that needs no words.

    Args:
        of_figures: HTML of a layer of figures; empty for others.
        per_pixel: whether each pixel shows its own figure.
    """
    words = of_figures + (PER_PIXEL if per_pixel else "") if of_figures else PICTURE_LEGENDS.get(layer, "")
    return _BLOCK.format(words) if words else ""


def overview(scene: DisplayScene, *, aligned: bool = True) -> str:
    """How much of what there is.

    Args:
        aligned: whether the scene could be put where the first run's is.
    """
    counts = [f"{len(scene.centres):,} Gaussians", f"{len(scene.viewpoints)} photos placed"]
    if not scene.points_are_centres:
        counts.append(f"{len(scene.points.positions):,} sparse points")
    lines = " · ".join(counts)
    if scene.dropped:
        lines += f"<br>{scene.dropped:,} Gaussians with numbers that are not finite are not shown"
    if not aligned:
        lines += f"<br>{UNALIGNED}"
    return _BLOCK.format(lines)


def box(shown: Box) -> str:
    """A box's numbers, in display units, as the sliders beside them have them."""
    ranges = zip("XYZ", shown.low, shown.high, strict=True)
    return _BLOCK.format(" · ".join(f"{axis} {low:.2f} to {high:.2f}" for axis, low, high in ranges))


def beside(left: str, right: str, *, aligned: bool) -> str:
    """Which run is where.

    Args:
        aligned: whether both could be put in one place.
    """
    if left == right:
        return _BLOCK.format(f"<b>{_clean(left)}</b> is on both sides: choose another run")
    words = f"left <b>{_clean(left)}</b>, right <b>{_clean(right)}</b>; both drawn by sparse3d"
    return _BLOCK.format(words if aligned else words + f"<br>{UNALIGNED}")


def quality(run: LoadedRun) -> str:
    """What was measured of a run, what it warned of, and which photos it left out."""
    provenance = run.reconstruction.provenance
    parts = [metrics_table(run.metrics) if run.metrics else _BLOCK.format("nothing was measured")]
    if provenance.warnings or provenance.unplaced:
        parts.append(warnings_list(provenance.warnings, provenance.unplaced))
    return "".join(parts)


def next_photos(coverage: Coverage | None) -> str:
    """Where to stand next, in words, with what each place promises."""
    if coverage is None:
        return _BLOCK.format("this run does not tell")
    places = [
        f"<p style='margin:0.3em 0'><b>+{i}</b> {_clean(place.text)} "
        f"<span style='opacity:0.7'>(removes about {100 * place.gain:.0f} % of the expected error)</span></p>"
        for i, place in enumerate(coverage.next_photos, 1)
    ]
    return _BLOCK.format("".join(places) or "no place nearby promises much")


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
