"""One HTML page of a bench: what was compared, under which protocol, on what machine, and what came out."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from sparse3d.bench.page_plots import error_curves, quality_against_time, quality_against_views
from sparse3d.bench.page_strips import picture_strips
from sparse3d.bench.page_tables import (
    LEGEND,
    duration,
    failures_table,
    further_table,
    mean_tables,
    published_table,
    scene_table,
)
from sparse3d.bench.published import Published, caveat, matching
from sparse3d.bench.results import Record
from sparse3d.bench.summary import Group, group_records, value_of
from sparse3d.io.atomic import atomic_write_text
from sparse3d.pipeline.report_html import fill_page, table, text
from sparse3d.pipeline.report_text import flatten


def write_page(
    path: Path,
    suite: str,
    records: Sequence[Record],
    methods: Sequence[str],
    published: Sequence[Published],
    *,
    pictures: Path,
) -> None:
    """Write the page as one file that needs no other and no network, under 10 MB; films, where there are some, are files beside it.

    Args:
        suite: the data set's name.
        records: results, in the order of the jobs.
        methods: labels, in the order of the tables' rows.
        pictures: folder of the results' pictures.

    Raises:
        InputError: the file cannot be written.
    """
    groups = group_records(records, methods)
    done = sum(r["status"] == "done" for r in records)
    sentences = (
        [f"{done} of {len(records)} jobs have a result."] if done < len(records) else [f"All {done} jobs are done."]
    )
    sentences.append(
        f"{len(methods)} methods, {len({r['scene'] for r in records})} scenes; {duration(records)} of work."
    )
    sections = [
        f'<p class="soft">sparse3d bench</p><h1>{text(suite)}</h1>',
        f'<div class="verdict">{"".join(f"<p>{text(s)}</p>" for s in sentences)}</div>',
        _provenance(records),
        f'<p class="note">{LEGEND}</p>',
        *(_group(group, published) for group in groups),
        _over_views(groups),
        picture_strips(groups, pictures),
        failures_table(records),
        _settings(records),
    ]
    atomic_write_text(path, fill_page(f"sparse3d bench: {suite}", sections))


def heading(group: Group) -> str:
    """What a group compares, in words."""
    given = "true cameras given" if group.poses == "posed" else "from photos alone"
    return f"{group.dataset}, {group.views} photos, {given}"


def protocol_words(group: Group) -> str:
    """How the figures of a group came about."""
    given = (
        "Methods get the training photos and their true cameras"
        if group.poses == "posed"
        else "Methods get the training photos alone; the true world is aligned with theirs by the training cameras"
    )
    counts = sorted({int(n) for r in group.records if (n := value_of(r, "held_out.aligned.views"))})
    scored = (
        f", on {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} held-out photos a scene"
        if counts
        else ""
    )
    return (
        f"Protocol {group.protocol} (docs/protocols.md), split “{group.split}”: {group.views} training photos. {given}. "
        f"All are scored by the same code{scored}."
    )


def _group(group: Group, published: Sequence[Published]) -> str:
    plots = quality_against_time(group) + error_curves(group)
    definitions = _definitions(group.records)
    return "".join(
        [
            f"<h2>{text(heading(group))}</h2>",
            f'<p class="note">{text(protocol_words(group))}</p>',
            mean_tables(group),
            published_table(matching(published, group.protocol, group.views, group.poses), caveat(group.protocol)),
            f'<div class="plots">{plots}</div>' if plots else "",
            f"<details><summary>Scene by scene</summary>{scene_table(group)}"
            f'<p class="note">{text(protocol_words(group))}</p></details>',
            f"<details><summary>Further figures</summary>{further_table(group)}{definitions}</details>",
        ]
    )


def _definitions(records: Sequence[Record]) -> str:
    """The scorer's own words on each figure; where jobs were scored differently, each way."""
    ways = {tuple(sorted(r["scoring"].items())) for r in records if r["status"] == "done"}
    rows = [[name, words] for way in sorted(ways) for name, words in way]
    lpips = {f"LPIPS {net}": note for r in records if r["status"] == "done" for net, note in r["lpips"].items()}
    return table(["figure", "how it is measured"], [*rows, *([n, w] for n, w in lpips.items())])


def _over_views(groups: Sequence[Group]) -> str:
    def identity(g: Group) -> tuple:
        return g.dataset, g.protocol, g.poses

    parts = []
    for (dataset, protocol, poses), members in itertools.groupby(sorted(groups, key=identity), key=identity):
        drawn = quality_against_views(list(members))
        if drawn:
            given = "true cameras given" if poses == "posed" else "from photos alone"
            parts.append(
                f"<div><h3>{text(dataset)}, {given}</h3>{drawn}<p class='note'>Protocol {text(protocol)}.</p></div>"
            )
    return f'<h2>Quality against the number of photos</h2><div class="plots">{"".join(parts)}</div>' if parts else ""


def _provenance(records: Sequence[Record]) -> str:
    """Machines, commits and dates; more than one commit or machine is a warning."""
    machines = [r["machine"] for r in records]

    def kinds(*names: str) -> list[tuple]:
        return sorted({tuple(m[name] for name in names) for m in machines}, key=str)

    rows = []
    for processor, cores, gpu, torch, python in kinds("processor", "cores", "gpu", "torch", "python"):
        rows.append(["machine", f"{processor}, {cores} cores, {gpu or 'no GPU'}; torch {torch}, Python {python}"])
    commits = [commit for (commit,) in kinds("commit")]
    rows.append(["commit", ", ".join(_short(commit) for commit in commits)])
    dates = sorted(m["date"] for m in machines)
    if dates:
        rows.append(["date", dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"])
    warnings = []
    if len(commits) > 1:
        warnings.append("The results come from several commits: compare with care, or start a new folder.")
    if len(rows) > 3:
        warnings.append("The results come from several machines: their times do not compare.")
    items = "".join(f"<li>{w}</li>" for w in warnings)
    return table([], rows) + (f'<div class="warnings"><ul>{items}</ul></div>' if items else "")


def _short(commit: str) -> str:
    """Of a commit as many digits as tell it from all others."""
    digits, _, changed = commit.partition(" ")
    return f"{digits[:12]} {changed}".strip() or "unknown"


def _settings(records: Sequence[Record]) -> str:
    """The settings of each method, once."""
    found: Mapping[str, Mapping] = {r["method"]: r["settings"] for r in records if r["status"] == "done"}
    parts = [
        f"<details><summary>{text(method)}</summary>{table([], flatten(settings, depth=8, separator='.'))}</details>"
        for method, settings in found.items()
    ]
    return f"<h2>Settings</h2>{''.join(parts)}" if parts else ""
