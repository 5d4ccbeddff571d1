"""What the terminal shows while a bench runs."""

from collections.abc import Sequence

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sparse3d.bench.bench import BenchListener
from sparse3d.bench.job import Task
from sparse3d.bench.plan import Estimate
from sparse3d.bench.results import Record
from sparse3d.cli.terminal import Terminal
from sparse3d.pipeline.report_text import describe_seconds


class BenchProgress(Terminal, BenchListener):
    """A line a job on stderr, and a bar with the time left."""

    def __init__(self) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        super().__init__(TextColumn("{task.description}"), *columns)
        self.task = self.bar.add_task("jobs", total=None)

    def begin(self, tasks: Sequence[Task], todo: Sequence[Task], expected: Estimate) -> None:
        kept = f", {len(tasks) - len(todo)} have a result" if len(todo) < len(tasks) else ""
        self.say(f"{len(tasks)} jobs{kept}")
        if todo:
            unknown = f", and {expected.unknown} jobs of which nobody knows" if expected.unknown else ""
            self.say(f"about {describe_seconds(expected.seconds)}{unknown}")
            self.bar.start()
        self.bar.update(self.task, total=len(todo))

    def record(self, record: Record) -> None:
        name = f"{record['scene']} {record['split']} {record['poses']} {record['method']} seed {record['seed']}"
        self.say(f"  {name}: {describe_record(record)}")
        self.bar.advance(self.task)


def describe_record(record: Record) -> str:
    """What came of a job, in a few words."""
    if record["status"] != "done":
        return record["reason"]
    figures = record["figures"]
    words = [f"{record['placed']} of {record['views']} placed"]
    for key, form in (("held_out.aligned.psnr", "PSNR {:.2f} dB"), ("poses.ate_relative", "ATE {:.4f}")):
        if key in figures:
            words.append(form.format(figures[key]))
    words.append(describe_seconds(record["timings"]["seconds"]))
    return ", ".join(words)
