"""The report's table of photos: what became of each, and how well it is matched."""

from collections.abc import Mapping

from sparse3d.core.photo_check import PhotoCheck
from sparse3d.pipeline.report_content import ReportContent, ReportView
from sparse3d.pipeline.report_html import table
from sparse3d.pipeline.report_text import describe_number


def render_photos(content: ReportContent) -> str:
    """The section on the photos; columns of which nothing is known are left out."""
    views, left_out = content.views, content.unplaced
    if not views and not left_out:
        return ""
    checks = {check.name: check for check in content.checks}
    names = [*(view.name for view in views), *(name for name, _ in left_out)]
    none = [""] * len(left_out)  # the warnings say why
    columns: dict[str, list[object]] = {
        "": [*range(1, len(views) + 1), *none],
        "photo": [*names],
        "camera": [*(_camera(view, checks) for view in views), *("left out" for _ in left_out)],
    }
    if checks:
        columns["fits the others"] = [_fit(name, checks) for name in names]
    if any(view.sure is not None for view in views):
        columns["sure depth"] = [*(_share(view.sure) for view in views), *none]
    columns["PSNR (dB)"] = [*(describe_number(view.psnr) for view in views), *none]
    columns["SSIM"] = [*(describe_number(view.ssim) for view in views), *none]
    rows = list(zip(*columns.values(), strict=True))
    photos = table(list(columns), rows, numbers=(0, *range(3, len(columns))))
    return f'<h2>Photos</h2>{photos}<p class="note">{_note(content)}</p>'


def _note(content: ReportContent) -> str:
    note = "PSNR and SSIM compare each photo with its own rendering. A photo that was used says little of other views."
    if any(view.rotation_sigma_deg for view in content.views):
        note += (
            " Behind ±: how far the camera may be off (one standard deviation), its direction in degrees and its position "
            "as a share of the distance to what it shows."
        )
    if content.checks:
        note += " Fits the others: how much of what they agree on the photo shows, too, beyond chance, as first placed."
    if any(view.sure is not None for view in content.views):
        note += " Sure depth: the pixels whose depth is more likely right than wrong; the rest is mostly guessed."
    return note


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _fit(name: str, checks: Mapping[str, PhotoCheck]) -> str:
    if name not in checks:
        return ""
    agreement = checks[name].agreement
    return "not told" if agreement is None else _share(max(agreement, 0.0))


def _camera(view: ReportView, checks: Mapping[str, PhotoCheck]) -> str:
    placed = "placed anew" if view.name in checks and checks[view.name].outcome == "placed anew" else "placed"
    if not view.rotation_sigma_deg or view.position_sigma is None:
        return placed
    return f"{placed} ± {view.rotation_sigma_deg:.2g}°, {100 * view.position_sigma:.2g} %"
