"""The report's part on coverage: what the photos saw, and where to stand next."""

from collections.abc import Sequence

from sparse3d.core.coverage import Coverage
from sparse3d.pipeline.report_html import table, text
from sparse3d.pipeline.report_pictures import Picture, encode_pictures

PICTURES_BUDGET = 400_000
"""Bytes for the pictures from all recommended places together."""


def render_coverage(coverage: Coverage | None, pictures: Sequence[Picture]) -> str:
    """Two sections as HTML; empty where there is no coverage.

    Args:
        pictures: one from each recommended place, or none.
    """
    if coverage is None:
        return ""
    verdict = "".join(f"<p>{text(sentence)}</p>" for sentence in coverage.verdict)
    rows: list[Sequence[object]] = [
        [p.name, f"{100 * p.seen_again:.0f} %", f"{p.angle_deg:.0f}°", f"{100 * p.expected_error:.2g} %"]
        for p in coverage.photos
    ]
    header = ("photo", "seen by another photo", "angle between photos", "expected error of distances")
    note = (
        "Angle and error are medians over the photo. The error is the least that the photos' own noise allows (their Fisher "
        "information, for patches of about 1.5 % of a photo), as a share of the distance: real errors are larger. The "
        "viewer shows all three on the scene, as layers."
    )
    known = f'<h2>What is known</h2>{verdict}{table(header, rows, numbers=(1, 2, 3))}<p class="note">{note}</p>'
    return known + _next_photos(coverage, pictures)


def _next_photos(coverage: Coverage, pictures: Sequence[Picture]) -> str:
    if not coverage.next_photos:
        return ""
    uris = encode_pictures(pictures, budget=PICTURES_BUDGET)
    cards = []
    for i, place in enumerate(coverage.next_photos):
        shown = ""
        if i < len(uris):
            height, width = pictures[i].shape[:2]
            shown = (
                f'<img src="{uris[i]}" alt="what is expected from place +{i + 1}" width="{width}" height="{height}">'
            )
        words = f"<b>+{i + 1}</b> {text(place.text)}; removes about {100 * place.gain:.0f} % of the expected error"
        cards.append(f"<figure>{shown}<figcaption>{words}</figcaption></figure>")
    note = (
        "Each place counts as if those before it had been taken. A step is the usual distance between neighbouring photos. The "
        "pictures show what is expected there, partly guessed: orange lies over what no photo saw."
    )
    return f'<h2>Where to stand next</h2><div class="pictures">{"".join(cards)}</div><p class="note">{note}</p>'
