"""The tables of the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from sparse3d.bench.published import Published
from sparse3d.bench.results import Record
from sparse3d.bench.summary import Figure, Group, figure, value_of
from sparse3d.pipeline.report_html import table, text
from sparse3d.pipeline.report_text import describe_seconds, spell_key


@dataclass(frozen=True)
class Column:
    """A figure in a table: its key, its heading, and how many decimals it has."""

    key: str
    heading: str
    decimals: int

    def cell(self, found: Figure | None) -> str:
        if found is None:
            return "–"
        spread = "" if found.std is None else f" ± {found.std:.{self.decimals}f}"
        return f"{found.mean:.{self.decimals}f}{spread}"


PICTURES = (
    Column("held_out.aligned.psnr", "PSNR (dB)", 2),
    Column("held_out.aligned.ssim", "SSIM", 3),
    Column("held_out.aligned.lpips_vgg", "LPIPS vgg", 3),
    Column("held_out.aligned.lpips_alex", "LPIPS alex", 3),
    Column("held_out.refined.psnr", "refined PSNR", 2),
    Column("held_out.refined.ssim", "refined SSIM", 3),
    Column("held_out.refined.lpips_vgg", "refined LPIPS vgg", 3),
    Column("held_out.refined.lpips_alex", "refined LPIPS alex", 3),
)
CAMERAS = (
    Column("poses.ate_relative", "ATE", 4),
    Column("poses.rotation_deg_median", "rotation (°)", 3),
    Column("focal.median_absolute", "focal length", 4),
)
"""Left out where the cameras were given: whoever keeps them is right."""
COST = (Column("seconds", "seconds", 1), Column("cpu_seconds", "processor s", 1), Column("peak_gib", "GiB", 2))
LEGEND = (
    "PSNR, SSIM and LPIPS: held-out photos at their true cameras, moved by the similarity that aligns the training cameras; "
    "“refined”: once more after the test camera was refined against the photo. ATE: RMS error of the camera centres over their "
    "extent; rotation: median error; focal length: median relative error. Behind ±: standard deviation over seeds. Seconds: wall "
    "time of the method alone; processor s: seconds of all cores together; GiB: peak memory."
)


def mean_tables(group: Group) -> str:
    """Means over scenes; a second time over the scenes that all methods finished, where these differ."""
    parts = [_mean_tables(group, None)]
    common = group.common_scenes()
    finished = {group.finished(m) for m in group.methods if group.finished(m)}
    if len(finished) > 1 and common:
        parts.append(f'<p class="note">Over the scenes that all of them finished ({text(", ".join(common))}):</p>')
        parts.append(_mean_tables(group, common))
    return "".join(parts)


def scene_table(group: Group) -> str:
    """Every scene for itself; why something failed stands in `failures_table`."""
    columns = _used((*PICTURES, *_cameras(group), *COST), group.records)
    rows = []
    for scene in group.scenes:
        for method in group.methods:
            tried = [r for r in group.records if (r["scene"], r["method"]) == (scene, method)]
            found = group.of(method, [scene])
            failed = ", ".join(dict.fromkeys(r["status"] for r in tried if r["status"] != "done"))
            placed = "; ".join(filter(None, (_placed(found) if found else "", failed)))
            if tried:
                rows.append([scene, method, placed, *_cells(columns, found)])
    header = ["scene", "method", "placed", *(c.heading for c in columns)]
    return table(header, rows, numbers=range(3, len(header)))


def further_table(group: Group) -> str:
    """All other figures that the evaluation gives, by their names; empty where there is none."""
    told = {column.key for column in (*PICTURES, *_cameras(group), *COST)}
    keys = dict.fromkeys(key for r in group.records for key in r.get("figures", {}) if key not in told)
    rows = [
        [spell_key(key.replace(".", " ")), *(Column(key, "", 4).cell(_figure(group.of(m), key)) for m in group.methods)]
        for key in keys
    ]
    return table(["", *group.methods], rows, numbers=range(1, len(group.methods) + 1)) if rows else ""


def published_table(found: Sequence[Published], caveat: str) -> str:
    """What papers report under the same protocol, or one that differs by the caveat; empty where there is nothing."""
    if not found:
        return ""
    notes = any(p.note for p in found)
    rows = [
        [
            p.method,
            *(
                "–" if value is None else f"{value:.{decimals}f}"
                for value, decimals in ((p.psnr, 2), (p.ssim, 3), (p.lpips, 3), (p.ate, 4), (p.seconds, 0))
            ),
            *([p.note] if notes else []),
        ]
        for p in found
    ]
    header = ["published", "PSNR (dB)", "SSIM", "LPIPS", "ATE", "seconds", *([""] if notes else [])]
    return table(header, rows, numbers=range(1, 6)) + (
        '<p class="note">As the papers report them for this protocol, number of photos and pose mode; not measured here. '
        f"Networks of LPIPS, borders of SSIM and machines differ. {text(caveat)}</p>"
    )


def failures_table(records: Sequence[Record]) -> str:
    """Jobs without figures, and why; empty where all were done."""
    rows = [
        [r["scene"], r["split"], r["poses"], r["method"], r["seed"], r["reason"]]
        for r in records
        if r["status"] != "done"
    ]
    if not rows:
        return ""
    listed = table(["scene", "split", "cameras", "method", "seed", "why"], rows, numbers=(4,))
    return f'<h2>Without a result</h2><div class="reasons">{listed}</div>'


def _mean_tables(group: Group, scenes: Sequence[str] | None) -> str:
    """What the pictures are worth, and below what the cameras are worth and what it cost: together too wide for a page."""
    chosen = {m: group.of(m, scenes) for m in group.methods}
    found = [r for records in chosen.values() for r in records]
    total = len(group.scenes if scenes is None else scenes)
    tables = []
    for columns in (_used(PICTURES, found), _used((*_cameras(group), *COST), found)):
        rows = []
        for method, records in chosen.items():
            count = f"{len({r['scene'] for r in records})} of {total}"
            rows.append([method, count, _placed(records), *_cells(columns, records)])
        header = ["method", "scenes", "placed", *(c.heading for c in columns)]
        if columns:
            tables.append(table(header, rows, numbers=range(1, len(header))))
    return "".join(tables)


def _cameras(group: Group) -> tuple[Column, ...]:
    return CAMERAS if group.poses == "unposed" else ()


def _used(columns: Sequence[Column], records: Sequence[Record]) -> list[Column]:
    """Columns that at least one result fills."""
    return [c for c in columns if any(value_of(r, c.key) is not None for r in records)]


def _cells(columns: Sequence[Column], records: Sequence[Record]) -> list[str]:
    return [column.cell(_figure(records, column.key)) for column in columns]


def _figure(records: Sequence[Record], key: str) -> Figure | None:
    return figure(records, lambda r: value_of(r, key))


def _placed(records: Sequence[Record]) -> str:
    if not records:
        return "–"
    return f"{sum(r['placed'] for r in records)} of {sum(r['views'] for r in records)}"


def duration(records: Sequence[Record]) -> str:
    """Of all jobs together, scoring included."""
    done = [r for r in records if r["status"] == "done"]
    return describe_seconds(float(sum(r["timings"]["seconds"] + r["timings"]["scoring_seconds"] for r in done)))
