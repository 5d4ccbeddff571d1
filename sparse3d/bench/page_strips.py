"""Picture strips: a held-out photo beside what each method makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparse3d.bench.results import Record
from sparse3d.bench.summary import Group
from sparse3d.core.errors import InputError
from sparse3d.io.image_files import read_image
from sparse3d.pipeline.report_html import text
from sparse3d.pipeline.report_pictures import Picture, encode_pictures

BUDGET_BYTES = 12_000_000
"""For all JPEGs together: in base64 they take a third more, and the page shall stay under 20 MB."""
MAX_STRIPS = 60
"""More than these nobody looks at, and they would be small."""


@dataclass(frozen=True)
class Strip:
    """One held-out photo of one scene, and its renderings by method."""

    group: Group
    scene: str
    name: str
    truth: str
    renderings: dict[str, tuple[str, Record]]


def find_strips(groups: Sequence[Group]) -> list[Strip]:
    """The strips of all groups, of the first seed that has pictures; first one photo of each scene, then a second one."""
    strips: dict[tuple, Strip] = {}
    for group in groups:
        for record in sorted(group.records, key=lambda r: (r["seed"], group.methods.index(r["method"]))):
            for order, shown in enumerate(record.get("pictures", [])):
                key = (order, groups.index(group), record["scene"], shown["name"])
                strip = strips.setdefault(key, Strip(group, record["scene"], shown["name"], shown["truth"], {}))
                strip.renderings.setdefault(record["method"], (shown["rendering"], record))
    return [strips[key] for key in sorted(strips)]


def picture_strips(groups: Sequence[Group], folder: Path) -> str:
    """The strips as HTML; pictures that were deleted are left out.

    Args:
        folder: that the results' picture files are relative to.
    """
    found = find_strips(groups)
    strips = sorted(found[:MAX_STRIPS], key=lambda s: (groups.index(s.group), s.scene, s.name))
    cards, pictures = [], []
    for strip in strips:
        cells = [("photo", _read(folder / strip.truth), "")]
        for method in (m for m in strip.group.methods if m in strip.renderings):
            file, record = strip.renderings[method]
            cells.append((method, _read(folder / file), _quality(record)))
        shown = [(label, quality, picture) for label, picture, quality in cells if picture is not None]
        if len(shown) > 1:
            cards.append((strip, [(label, quality) for label, quality, _ in shown]))
            pictures += [picture for _, _, picture in shown]
    if not cards:
        return ""
    uris = iter(encode_pictures(pictures, budget=BUDGET_BYTES))
    left_out = len(found) - len(strips)
    more = f" {left_out} more are in the folder “pictures”." if left_out else ""
    note = (
        f'<p class="note">Photos that no method was given, and renderings at their true cameras.{more}'
        '<span class="screen"> Click the photo or the first rendering to compare the two with a slider.</span></p>'
    )
    return "<h2>Pictures</h2>" + note + "".join(_card(strip, labels, uris) for strip, labels in cards)


def _card(strip: Strip, labels: Sequence[tuple[str, str]], uris) -> str:
    figures = []
    for index, (label, quality) in enumerate(labels):
        pair = ' class="pair"' if index < 2 else ""
        figures.append(
            f'<figure><img{pair} src="{next(uris)}" alt="{text(label)}: {text(strip.scene)} {text(strip.name)}">'
            f"<figcaption>{text(label)}{text(quality)}</figcaption></figure>"
        )
    given = "true cameras given" if strip.group.poses == "posed" else "from photos alone"
    return (
        f'<section class="view"><header><h3>{text(strip.scene)}, {text(strip.name)}</h3>'
        f'<span class="soft">{strip.group.views} photos, {given}</span></header>'
        f'<div class="strip">{"".join(figures)}</div></section>'
    )


def _quality(record: Record) -> str:
    psnr = record["figures"].get("held_out.aligned.psnr")
    return "" if psnr is None else f" ({psnr:.1f} dB over all views)"


def _read(path: Path) -> Picture | None:
    try:
        return read_image(path)
    except InputError:
        return None
