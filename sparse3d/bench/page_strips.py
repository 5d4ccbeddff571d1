"""Picture strips: a held-out photo beside what each method makes of it, and the errors that it expects itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sparse3d.bench.results import Record
from sparse3d.bench.summary import Group
from sparse3d.core.errors import InputError
from sparse3d.io.image_files import read_image
from sparse3d.pipeline.report_html import text
from sparse3d.pipeline.report_pictures import Picture, encode_pictures, error_map, error_scale

MAX_STRIPS = 60
"""More than these nobody looks at, and they would be small."""


@dataclass(frozen=True)
class Shown:
    """A method's rendering, and the map of the error that it expects where it tells one: files, and whose they are."""

    rendering: str
    uncertainty: str | None
    record: Record


@dataclass(frozen=True)
class Strip:
    """One held-out photo of one scene, and its renderings by method."""

    group: Group
    scene: str
    name: str
    truth: str
    renderings: dict[str, Shown]

    @property
    def methods(self) -> list[str]:
        """As the group has them, but those with a map of the expected error last: the photo's errors stand beside it."""
        found = [m for m in self.group.methods if m in self.renderings]
        return sorted(found, key=lambda m: self.renderings[m].uncertainty is not None)


@dataclass(frozen=True)
class Cell:
    """A picture of a strip."""

    label: str
    picture: Picture
    pair: bool = False


def find_strips(groups: Sequence[Group]) -> list[Strip]:
    """The strips of all groups, of the first seed that has pictures; first one photo of each scene, then a second one."""
    strips: dict[tuple, Strip] = {}
    for group in groups:
        for record in sorted(group.records, key=lambda r: (r["seed"], group.methods.index(r["method"]))):
            for order, shown in enumerate(record.get("pictures", [])):
                key = (order, groups.index(group), record["scene"], shown["name"])
                strip = strips.setdefault(key, Strip(group, record["scene"], shown["name"], shown["truth"], {}))
                found = Shown(shown["rendering"], shown.get("uncertainty"), record)
                strip.renderings.setdefault(record["method"], found)
    return [strips[key] for key in sorted(strips)]


def picture_strips(groups: Sequence[Group], folder: Path) -> str:
    """The strips as HTML; pictures that were deleted are left out.

    Args:
        folder: that the results' picture files are relative to; the page is to stand beside it.
    """
    found = find_strips(groups)
    strips = sorted(found[:MAX_STRIPS], key=lambda s: (groups.index(s.group), s.scene, s.name))
    cards = [(strip, cells) for strip in strips if len(cells := _cells(strip, folder)) > 1]
    if not cards:
        return ""
    uris = iter(encode_pictures([cell.picture for _, cells in cards for cell in cells]))
    left_out = len(found) - len(strips)
    more = f" {left_out} more are in the folder “pictures”." if left_out else ""
    maps = any(shown.uncertainty for strip, _ in cards for shown in strip.renderings.values())
    errors = (
        f" Errors, found and expected, are mean absolute differences of colour: {error_scale()}; grey where nothing is drawn."
        if maps
        else ""
    )
    note = (
        f'<p class="note">Photos that no method was given, and renderings at their true cameras.{more}{errors}'
        '<span class="screen"> Click the photo or the first rendering to compare the two with a slider.</span></p>'
    )
    return "<h2>Pictures</h2>" + note + "".join(_card(strip, cells, folder, uris) for strip, cells in cards)


def _cells(strip: Strip, folder: Path) -> list[Cell]:
    """The photo and what there is of each method; the first method asked for is paired with the photo."""
    truth = _read(folder / strip.truth)
    cells = [] if truth is None else [Cell("photo", truth, pair=True)]
    first = next(m for m in strip.group.methods if m in strip.renderings)
    for method in strip.methods:
        shown = strip.renderings[method]
        rendering = _read(folder / shown.rendering)
        if rendering is None:
            continue
        cells.append(Cell(method + _quality(shown.record), rendering, pair=method == first))
        expected = None if shown.uncertainty is None else _read(folder / shown.uncertainty)
        if expected is not None and truth is not None:
            cells.append(Cell(f"{method}: error found", error_map(truth, rendering)))
            cells.append(Cell(f"{method}: error expected", expected))
    return cells


def _card(strip: Strip, cells: Sequence[Cell], folder: Path, uris: Iterator[str]) -> str:
    figures = []
    for cell in cells:
        pair = ' class="pair"' if cell.pair else ""
        alt = f"{cell.label}: {strip.scene} {strip.name}"
        figures.append(
            f'<figure><img{pair} src="{next(uris)}" alt="{text(alt)}"><figcaption>{text(cell.label)}</figcaption></figure>'
        )
    given = "true cameras given" if strip.group.poses == "posed" else "from photos alone"
    return (
        f'<section class="view"><header><h3>{text(strip.scene)}, {text(strip.name)}</h3>'
        f'<span class="soft">{strip.group.views} photos, {given}{_films(strip, folder)}</span></header>'
        f'<div class="strip">{"".join(figures)}</div></section>'
    )


def _films(strip: Strip, folder: Path) -> str:
    """Links to the films beside the page."""
    files = {m: strip.renderings[m].record.get("film") for m in strip.methods}
    links = [
        f'<a href="{quote(f"{folder.name}/{file}")}">{text(method)}</a>'
        for method, file in files.items()
        if file and (folder / file).is_file()
    ]
    return f"; films from photo to photo: {', '.join(links)}" if links else ""


def _quality(record: Record) -> str:
    psnr = record["figures"].get("held_out.aligned.psnr")
    return "" if psnr is None else f" ({psnr:.1f} dB over all views)"


def _read(path: Path) -> Picture | None:
    try:
        return read_image(path)
    except InputError:
        return None
