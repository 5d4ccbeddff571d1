"""The report: one HTML file that says first how good the reconstruction is, then shows why."""

from collections.abc import Sequence
from pathlib import Path

from sparse3d.io.atomic import atomic_write_text
from sparse3d.pipeline.report_content import ReportContent, ReportView
from sparse3d.pipeline.report_coverage import render_coverage
from sparse3d.pipeline.report_curves import draw_curve
from sparse3d.pipeline.report_html import fill_page, table, text
from sparse3d.pipeline.report_layout import draw_layout
from sparse3d.pipeline.report_photos import render_photos
from sparse3d.pipeline.report_pictures import FULL_SCALE_ERROR, encode_pictures
from sparse3d.pipeline.report_text import (
    describe_seconds,
    flatten,
    spell_key,
    untold_unplaced,
)

SHOWN_ELSEWHERE = (
    "protocol", "views", "placed", "unplaced", "seconds", "rotation_sigma_deg", "position_sigma_of_depth",
    "checks", "confident_pixels",
)  # fmt: skip
"""Entries of a run's metrics that the report has a better place for than its table of figures."""


def write_report(path: Path, content: ReportContent) -> None:
    """Write the report atomically as one HTML file under 10 MB that needs no other file and no network.

    Raises:
        InputError: the file cannot be written.
    """
    atomic_write_text(path, render_report(content))


def render_report(content: ReportContent) -> str:
    """The report as HTML."""
    sections = [
        f'<p class="soft">sparse3d reconstruction report</p><h1>{text(content.title)}</h1>',
        f'<div class="verdict">{"".join(f"<p>{text(sentence)}</p>" for sentence in content.verdict)}</div>',
        _warnings(content),
        render_photos(content),
        _figures(content),
        _pictures(content.views),
        _layout(content),
        render_coverage(content.coverage, content.next_pictures),
        _curves(content),
        _timings(content),
        _reproduction(content),
    ]
    return fill_page(content.title, sections)


def _warnings(content: ReportContent) -> str:
    sentences = list(content.warnings)
    sentences += [f"{name} could not be placed: {why}" for name, why in untold_unplaced(sentences, content.unplaced)]
    sentences += [f"{view.name}: {sentence}" for view in content.views for sentence in view.warnings]
    if not sentences:
        return ""
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in sentences)
    return f'<div class="warnings"><h3>Warnings</h3><ul>{items}</ul></div>'


def _figures(content: ReportContent) -> str:
    protocol = content.metrics.get("protocol")
    figures = {name: value for name, value in content.metrics.items() if name not in SHOWN_ELSEWHERE}
    rows = [(spell_key(name), value) for name, value in flatten(figures)]
    if not rows:
        return ""
    note = f'<p class="note">{text(protocol)}</p>' if isinstance(protocol, str) else ""
    return f"<h2>Figures</h2>{table([], rows, numbers=(1,))}{note}"


def _pictures(views: Sequence[ReportView]) -> str:
    """For every view its photo, rendering, error, depth and confidence side by side."""
    kinds = ("photo", "rendering", "error", "depth", "confidence")
    found = [(view, kind, getattr(view, kind)) for view in views for kind in kinds]
    found = [entry for entry in found if entry[2] is not None]
    if not found:
        return ""
    uris = encode_pictures([picture for _, _, picture in found])
    cards = []
    for number, view in enumerate(views, start=1):
        figures = []
        comparable = view.photo is not None and view.rendering is not None
        for (owner, kind, picture), uri in zip(found, uris, strict=True):
            if owner is view:
                pair = ' class="pair"' if comparable and kind in ("photo", "rendering") else ""
                height, width = picture.shape[:2]
                figures.append(
                    f'<figure><img{pair} src="{uri}" alt="{kind} of {text(view.name)}" width="{width}" height="{height}">'
                    f"<figcaption>{kind}</figcaption></figure>"
                )
        measured = [f"PSNR {view.psnr:.2f} dB" if view.psnr is not None else ""]
        measured.append(f"SSIM {view.ssim:.3f}" if view.ssim is not None else "")
        cards.append(
            f'<section class="view"><header><h3>{number}. {text(view.name)}</h3>'
            f'<span class="soft">{" · ".join(filter(None, measured))}</span></header>'
            f'<div class="pictures">{"".join(figures)}</div></section>'
        )
    note = (
        '<p class="note"><span class="screen">Click a photo or its rendering to compare the two with a slider. </span>'
        f"Error: black is none, yellow is a difference of {FULL_SCALE_ERROR:.0%} of full brightness or more. "
        "Depth: warm is near, cold is far, black is unknown. Confidence: bright is sure.</p>"
    )
    return f"<h2>Photo by photo</h2>{note}{''.join(cards)}"


def _layout(content: ReportContent) -> str:
    if content.cameras is None:
        return ""
    places = () if content.coverage is None else content.coverage.next_photos
    above, side = draw_layout(content.cameras, content.points, [place.camera for place in places])
    if not above:
        return ""
    ghosts = "; +1 and so on: where to stand next" if places else ""
    return (
        '<h2>Where the photos were taken</h2><div class="plots">'
        f"<figure>{above}<figcaption>from above; the photos look up the page{ghosts}</figcaption></figure>"
        f"<figure>{side}<figcaption>from the side; the photos look to the right</figcaption></figure></div>"
    )


def _curves(content: ReportContent) -> str:
    curves = [draw_curve(content.history, key, title) for key, title in (("loss", "loss"), ("psnr", "PSNR (dB)"))]
    drawn = "".join(f"<figure>{curve}</figure>" for curve in curves if curve)
    return f'<h2>Optimisation</h2><div class="plots">{drawn}</div>' if drawn else ""


def _timings(content: ReportContent) -> str:
    if not content.timings_s:
        return ""
    rows = [(spell_key(stage), describe_seconds(seconds)) for stage, seconds in content.timings_s.items()]
    rows.append(("together", describe_seconds(sum(content.timings_s.values()))))
    return f"<h2>Time</h2>{table([], rows, numbers=(1,))}"


def _reproduction(content: ReportContent) -> str:
    parts = []
    if content.command:
        parts.append(f"<pre>{text(content.command)}</pre>")
    if content.versions:
        listed = ", ".join(f"{name} {version}" for name, version in content.versions.items())
        parts.append(f'<p class="note">Made with {text(listed)}.</p>')
    settings = flatten(content.settings, depth=8, separator=".")
    if settings:
        parts.append(f"<details><summary>All settings</summary>{table([], settings)}</details>")
    return f"<h2>How to make it again</h2>{''.join(parts)}" if parts else ""
