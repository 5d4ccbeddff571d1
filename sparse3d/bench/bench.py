"""`sparse3d bench` from end to end: data set, jobs, results, page."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from sparse3d.bench import cluster
from sparse3d.bench.job import Task
from sparse3d.bench.methods import resolve_method
from sparse3d.bench.page import write_page
from sparse3d.bench.plan import BenchConfig, Estimate, estimate, plan
from sparse3d.bench.published import published_file, read_published
from sparse3d.bench.results import Record, ResultsFile
from sparse3d.bench.runner import Spread, one_by_one, pending, run_bench
from sparse3d.bench.scene import BenchScene
from sparse3d.core.errors import InputError
from sparse3d.io.atomic import make_folder


@runtime_checkable
class LoadScenes(Protocol):
    """Gives the scenes of a data set: `datasets.load_dataset`."""

    def __call__(
        self, name: str, root: Path, scenes: Sequence[str] | None = None, *, protocol: str | None = None
    ) -> list[BenchScene]: ...


@dataclass(frozen=True)
class BenchRequest:
    """What to compare, and where.

    Attributes:
        suite: name of a data set.
        data: its folder.
        out: folder of the results.
        scenes: names; none for all.
        config: methods, splits, seeds.
        published: file of published figures; None for the source's own.
        protocol: of the data set; None takes its usual one.
    """

    suite: str
    data: Path
    out: Path
    scenes: tuple[str, ...]
    config: BenchConfig
    published: Path | None = None
    protocol: str | None = None


@dataclass(frozen=True)
class Spreading:
    """How jobs are run.

    Attributes:
        workers: how many at once on this machine.
        ray_address: of a Ray cluster that is there; None to do without.
        keep_runs: keep what the methods wrote.
        retry_failed: run jobs again whose result is a failure.
    """

    workers: int = 1
    ray_address: str | None = None
    keep_runs: bool = False
    retry_failed: bool = False


class BenchListener:
    """Told what goes on; this one stays silent."""

    def begin(self, tasks: Sequence[Task], todo: Sequence[Task], expected: Estimate) -> None:
        """All jobs, those to be run now, and how long these may take."""

    def record(self, record: Record) -> None:
        """A job ended."""


def run_suite(request: BenchRequest, spreading: Spreading, listener: BenchListener, load: LoadScenes) -> Path:
    """Run what has no result yet, and write the page, also where it was stopped.

    Args:
        load: gives the scenes of a data set.

    Returns:
        The page.

    Raises:
        InputError: the data set, a method, a setting or a file cannot be used.
        MissingDependency: Ray is needed and not installed.
    """
    run = _spread(spreading)
    out = make_folder(request.out)
    published = request.published or published_file()
    figures = () if published is None else read_published(published)
    scenes = load(request.suite, request.data, request.scenes or None, protocol=request.protocol)
    config = replace(request.config, threads=threads_a_job(request.config.threads, spreading))
    tasks = plan(scenes, config, out)
    results = ResultsFile(out / "results.jsonl")
    records = results.read()
    todo = pending(tasks, records, retry_failed=spreading.retry_failed)
    listener.begin(tasks, todo, estimate(todo, scenes, records, spreading.workers))
    page = out / "index.html"
    labels = [resolve_method(spec).label for spec in dict.fromkeys(config.methods)]
    try:
        run_bench(todo, results, run, listener.record)
    finally:
        found = results.read()
        shown = [found[task.job.key] for task in tasks if task.job.key in found]
        if shown:
            write_page(page, request.suite, shown, labels, figures, pictures=out / "pictures")
    return page


def threads_a_job(threads: int, spreading: Spreading) -> int:
    """Threads of each job: as asked for, else all cores for one worker, and a fair share of them for several.

    Raises:
        InputError: the jobs run on another machine's cores and nobody said how many they may use.
    """
    if spreading.workers < 1:
        raise InputError(f"--workers is {spreading.workers}, expected 1 or more")
    if threads or (spreading.workers == 1 and spreading.ray_address is None):
        return threads
    if spreading.ray_address is not None:
        raise InputError("--ray-address needs --threads: how many cores of the cluster's machines a job gets")
    return max(1, (os.cpu_count() or 1) // spreading.workers)


def _spread(spreading: Spreading) -> Spread:
    """How tasks are run: one by one, or by Ray."""
    if spreading.workers == 1 and spreading.ray_address is None:
        return partial(one_by_one, keep_runs=spreading.keep_runs)
    cluster.load_ray(
        local=spreading.ray_address is None
    )  # before anything is planned, so that its absence is told at once
    return partial(
        cluster.spread,
        workers=spreading.workers,
        address=spreading.ray_address,
        keep_runs=spreading.keep_runs,
    )
