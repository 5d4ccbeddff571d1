"""Jobs, each in a process of its own with a time limit; one after the other, or spread by Ray (`cluster`)."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from sparse3d.bench.job import Task, write_task
from sparse3d.bench.machine import machine
from sparse3d.bench.results import Record, ResultsFile
from sparse3d.io.atomic import make_folder
from sparse3d.io.json_files import read_json_object
from sparse3d.pipeline.report_text import hide_paths

SHOWN_LINES = 3
"""Of the log of a job that ended without a word, in the reason."""

Spread = Callable[[list[Task]], Iterable[Record]]
"""Runs tasks and gives each one's record as it ends."""


def pending(tasks: list[Task], records: dict[str, Record], *, retry_failed: bool) -> list[Task]:
    """The tasks that are to be run: those without a result and, where asked for, those whose result is a failure or has no film."""

    def is_pending(task: Task) -> bool:
        record = records.get(task.job.key)
        if record is None or record["status"] != "done":
            return record is None or retry_failed
        return task.films and "film" not in record

    return [task for task in tasks if is_pending(task)]


def run_bench(
    tasks: list[Task], results: ResultsFile, spread: Spread, on_record: Callable[[Record], None]
) -> dict[str, Record]:
    """Run tasks, writing each result as it comes; a bench that is stopped has lost only the jobs under way.

    Returns:
        All results of the file, in its order.

    Raises:
        InputError: a file cannot be written.
    """
    try:
        for record in spread(tasks):
            results.add(record)
            on_record(record)
    finally:
        results.sort()
    return results.read()


def one_by_one(tasks: list[Task], *, keep_runs: bool = False) -> Iterator[Record]:
    """Run tasks one after the other."""
    for task in tasks:
        yield run_task(task, keep_runs=keep_runs)


def run_task(task: Task, *, keep_runs: bool = False) -> Record:
    """Run a job in a process of its own.

    Args:
        keep_runs: keep what the method wrote; without, the log, the evaluation and the pictures stay alone.

    Returns:
        Its record; one that failed, ran out of time or ended without a result has the reason.

    Raises:
        InputError: its folder cannot be written.
    """
    make_folder(task.folder)
    task.result.unlink(missing_ok=True)
    write_task(task)
    reason = _run_process(task)
    if not keep_runs:
        shutil.rmtree(task.folder / "work", ignore_errors=True)
    if reason is not None:
        return failed_record(task, reason)
    return {"key": task.job.key, **asdict(task.job), **read_json_object(task.result)}


def failed_record(task: Task, reason: str) -> Record:
    """The record of a job that left no result."""
    return {
        "key": task.job.key,
        **asdict(task.job),
        "status": "failed",
        "reason": hide_paths(reason),
        "machine": machine(),
    }


def _run_process(task: Task) -> str | None:
    """Why the process failed; None where it left a result."""
    environment = dict(os.environ)
    if task.threads:
        environment |= {"OMP_NUM_THREADS": str(task.threads), "OPENBLAS_NUM_THREADS": str(task.threads)}
    with task.log.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sparse3d.bench.job", str(task.file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(task.timeout_s)
        except subprocess.TimeoutExpired:
            return f"time-out: not done after {task.timeout_s:g} s"
        finally:
            # The whole group, so that a peer's program does not run on.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code == 0 and task.result.is_file():
        return None
    ended = f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    lines = task.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-SHOWN_LINES:]
    return f"{ended}: {' | '.join(lines) or 'without a word'}"
