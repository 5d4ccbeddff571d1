"""An evaluation as the terminal shows it."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

NETS = ("alex", "vgg")
LABELS = ("held out, aligned pose", "held out, refined pose")


def print_evaluation(document: dict[str, Any]) -> None:
    """Print the figures of an evaluation in its JSON form: cameras, pictures, depth, surface, and what was not measured."""
    console = Console(highlight=False, soft_wrap=True)
    _print_cameras(console, document)
    _print_pictures(console, document)
    _print_depth(console, document["depth"])
    _print_surface(console, document)
    _print_uncertainty(console, document)
    if document["held_out"]["reason"]:
        console.print(f"held out: {document['held_out']['reason']}", markup=False)
    for view in document["held_out"]["views"]:
        if view["aligned"] is None:
            console.print(f"{view['name']}: {view['reason']}", markup=False)
    for net, note in document["lpips"].items():
        if note.startswith("not measured"):
            console.print(f"LPIPS {net}: {note}", markup=False)


def _print_cameras(console: Console, document: dict[str, Any]) -> None:
    poses, focal = document["poses"], document["focal"]["median_absolute"]
    if poses is None:
        if document["kind"] == "truth":
            console.print(f"cameras: {document['poses_reason']}", markup=False)
        return
    console.print(
        f"cameras: {poses['views']} compared; ATE {poses['ate_relative']:.4f} of their extent; rotation error "
        f"{poses['rotation_deg_median']:.3f} deg median, {poses['rotation_deg_max']:.3f} max; RPE "
        f"{poses['rpe_rotation_deg']:.3f} deg, {poses['rpe_translation']:.4g}; AUC "
        + ", ".join(f"@{k} {v:.3f}" for k, v in poses["auc"].items())
        + ("" if focal is None else f"; focal error {100 * focal:.2f} %")
    )


def _print_pictures(console: Console, document: dict[str, Any]) -> None:
    left_out = document["kind"] == "leave one out"
    labels = ("left out, own camera", "left out, refined pose") if left_out else LABELS
    table = _table("photos", "n", "PSNR", "lowest", "SSIM", "LPIPS alex", "LPIPS vgg")
    rows = (
        (labels[0], document["held_out"]["aligned"]),
        (labels[1], document["held_out"]["refined"]),
        ("training", document["training"]["mean"]),
    )
    for label, row in rows:
        if row is not None:
            distances = [_or_dash(row.get(f"lpips_{net}")) for net in NETS]
            table.add_row(
                label,
                str(row["views"]),
                f"{row['psnr']:.2f}",
                f"{row['psnr_min']:.2f}",
                f"{row['ssim']:.4f}",
                *distances,
            )
            for cells in _parts(row):
                table.add_row(*cells)
    if table.row_count:
        console.print(table)


def _parts(row: dict[str, Any]) -> Iterator[list[str]]:
    """The rows of the masked object and of what was covered."""
    for key, label in (("masked", "object"), ("covered", "covered")):
        part = row[key]
        if part is not None:
            distances = [_or_dash(part.get(f"lpips_{net}")) for net in NETS]
            yield [
                f"  {label} {100 * part['share']:.0f} %", str(part["views"]), f"{part['psnr']:.2f}", "",
                f"{part['ssim']:.4f}", *distances,
            ]  # fmt: skip


def _print_depth(console: Console, depth: dict[str, Any]) -> None:
    table = _table("depth", "n", "known", "AbsRel", "RMSE", "δ1", "δ2", "δ3", "AUSE")
    for key, label in (("held_out", "held out"), ("training", "training")):
        row = depth[key]
        if row is None:
            continue
        for kind, shown in (("unaligned", label), ("aligned", "  scaled")):
            if row[kind] is not None:
                order = _or_dash(row["ause_of_random"])[:5] if kind == "aligned" else ""
                table.add_row(shown, str(row["views"]), *_depth_cells(row[kind]), order)
    if table.row_count:
        console.print(table)


def _depth_cells(score: dict[str, Any]) -> list[str]:
    return [
        f"{score['known']:.3f}",
        f"{score['abs_rel']:.3f}",
        f"{score['rmse']:.3g}",
        *(f"{share:.3f}" for share in score["delta"]),
    ]


def _print_surface(console: Console, document: dict[str, Any]) -> None:
    surface = document["surface"]
    if surface is None:
        return
    figures = zip(surface["thresholds"], surface["f_score"], surface["precision"], surface["recall"], strict=True)
    console.print(
        f"surface: accuracy {surface['accuracy']:.4g}, completeness {surface['completeness']:.4g}, Chamfer "
        f"{surface['chamfer']:.4g}; F-score "
        + ", ".join(f"@{t:.3g} {f:.3f} (precision {p:.3f}, recall {r:.3f})" for t, f, p, r in figures)
    )


def _print_uncertainty(console: Console, document: dict[str, Any]) -> None:
    score = document["uncertainty"]
    if score is None:
        if document["kind"] == "leave one out":
            console.print(f"expected colour error: {document['uncertainty_reason']}", markup=False)
        return
    console.print(
        f"expected colour error: {score['mean_expected']:.4f} where {score['mean_error']:.4f} was found, in "
        f"{score['photos']} photos left out; calibrated by {score['factor']:.3g} * u^{score['exponent']:.3g}; AUSE "
        f"{_or_dash(score['ause_of_random'])[:5]} of a random order's"
    )


def _table(*headings: str) -> Table:
    """A table that fits into 80 columns: headings may wrap, labels may not."""
    table = Table(*headings)
    table.columns[0].no_wrap = True
    return table


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
