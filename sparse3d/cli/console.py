"""What the terminal shows while a reconstruction runs."""

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sparse3d.cli.terminal import Terminal
from sparse3d.optim.progress import Progress as OptimProgress
from sparse3d.pipeline.listener import Listener


class Console(Terminal, Listener):
    """Stages as lines on stderr, the optimisation as a progress bar with loss, PSNR and time left."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.task = None

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
