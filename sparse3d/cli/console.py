"""What the terminal shows while a reconstruction runs."""

from types import TracebackType

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sparse3d.optim.progress import Progress as OptimProgress
from sparse3d.pipeline.listener import Listener


class Console(Listener):
    """Stages as lines on stderr, the optimisation as a progress bar with loss, PSNR and time left."""

    def __init__(self) -> None:
        self.rich = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self.bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.rich,
        )
        self.task = None

    def __enter__(self) -> "Console":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def say(self, message: str) -> None:
        """Print a line as it is."""
        self.rich.print(message, markup=False)

    def stage(self, name: str, detail: str) -> None:
        self.rich.print(f"[bold]{name}[/bold]", end="  ")
        self.rich.print(detail, markup=False)

    def warning(self, message: str) -> None:
        self.rich.print("[yellow]warning[/yellow]", end="  ")
        self.rich.print(message, markup=False)

    def progress(self, progress: OptimProgress) -> None:
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task("optimise", total=progress.iterations, figures="")
        figures = f"loss {progress.loss:.4f}  PSNR {progress.psnr:.2f} dB"
        self.bar.update(self.task, completed=progress.iteration, figures=figures)
        if progress.iteration >= progress.iterations:
            self.bar.stop()
            self.bar.remove_task(self.task)
            self.task = None  # another run may follow
