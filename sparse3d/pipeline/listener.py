"""Who follows a reconstruction: the terminal, a viewer, a test."""

from collections.abc import Sequence

from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.progress import Progress


class Listener:
    """Told what goes on; this one stays silent. Override what is of interest."""

    def stage(self, name: str, detail: str) -> None:
        """A stage ended, or was found done: its name and one line on its result."""

    def warning(self, message: str) -> None:
        """Something that the user should know."""

    def optimising(self, prior: GeometryPrior) -> None:
        """The optimisation begins, from this prior's cameras and photos."""

    def progress(self, progress: Progress) -> None:
        """The optimisation went on. It waits meanwhile; to end it and keep what is done, raise `StopTraining`."""


class Listeners(Listener):
    """Tells several listeners, in order."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = tuple(listeners)

    def stage(self, name: str, detail: str) -> None:
        for listener in self.listeners:
            listener.stage(name, detail)

    def warning(self, message: str) -> None:
        for listener in self.listeners:
            listener.warning(message)

    def optimising(self, prior: GeometryPrior) -> None:
        for listener in self.listeners:
            listener.optimising(prior)

    def progress(self, progress: Progress) -> None:
        for listener in self.listeners:
            listener.progress(progress)
