"""What stands around a run's stages: their times and lines, the log file, the number of threads."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from sparse3d.io.atomic import clear_write_errors
from sparse3d.pipeline.listener import Listener

logger = logging.getLogger(__name__)


@runtime_checkable
class StageDone(Protocol):
    """Called at a stage's end with one line on its result, and whether that was found done."""

    def __call__(self, detail: str, found: bool = False) -> None: ...


class Stopwatch:
    """Times stages and tells the listener of each one's end."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[StageDone]:
        started = time.monotonic()
        lines: list[str] = []

        def done(detail: str, found: bool = False) -> None:
            lines.append(detail + (" (kept from before)" if found else ""))

        yield done
        self.seconds[name] = time.monotonic() - started
        for line in lines:
            logger.info("%s: %s, %.1f s", name, line, self.seconds[name])
            self.listener.stage(name, f"{line}, {self.seconds[name]:.1f} s")


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _LogFile(logging.FileHandler):
    """The run's log: where its disk is full, the results' own error tells the user, not one for each line of the log."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Everything that the package logs goes to the run's log too."""
    package = logging.getLogger("sparse3d")
    with clear_write_errors(path):
        handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    except BaseException:
        # Into the file alone: the terminal gets the message without the traceback.
        handler.handle(logger.makeRecord(logger.name, logging.ERROR, "", 0, "stopped", (), sys.exc_info()))
        raise
    finally:
        package.removeHandler(handler)
        package.setLevel(before)
        handler.close()
