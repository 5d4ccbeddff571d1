"""Who follows a reconstruction: the terminal, a viewer, a test."""

from sparse3d.optim.progress import Progress


class Listener:
    """Told what goes on; this one stays silent. Override what is of interest."""

    def stage(self, name: str, detail: str) -> None:
        """A stage ended, or was found done: its name and one line on its result."""

    def warning(self, message: str) -> None:
        """Something that the user should know."""

    def progress(self, progress: Progress) -> None:
        """The optimisation went on."""
