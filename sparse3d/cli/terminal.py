"""Lines on the terminal with a progress bar below them."""

from types import TracebackType
from typing import TypeVar

from rich.console import Console as RichConsole
from rich.progress import Progress, ProgressColumn

T = TypeVar("T", bound="Terminal")


class Terminal:
    """Writes to stderr; the bar ends with the block that this is entered for.

    Args:
        columns: of the bar, which whoever derives from this starts.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        self.rich = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self.bar = Progress(*columns, console=self.rich)

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def say(self, message: str) -> None:
        """Print a line as it is."""
        self.rich.print(message, markup=False)
