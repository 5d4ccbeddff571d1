"""The page beside a reconstruction that runs, for `sparse3d reconstruct --view`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sparse3d.cli.view import check_address

if TYPE_CHECKING:
    from sparse3d.pipeline.listener import Listener

HOST = "127.0.0.1"


class LivePage:
    """A page that shows the run while it is optimised, and what came out when it is done."""

    def __init__(self, port: int, title: str) -> None:
        from sparse3d_viewer.live import LiveView
        from sparse3d_viewer.server import open_server

        self.server = open_server(HOST, port, title=title)
        self.view = LiveView(self.server)

    def beside(self, console: "Listener") -> "Listener":
        """A listener that tells the terminal and the page."""
        from sparse3d.pipeline.listener import Listeners

        return Listeners([console, self.view])

    def hold_out(self, photos: Path, cameras: Path, images: tuple[str, ...]) -> None:
        """Show how photos fare that the run is not made from: those of the folder whose cameras are known.

        Args:
            images: names of the photos that it is made from.
        """
        from sparse3d_viewer.held_out import HeldOutSource

        self.view.hold_out(HeldOutSource(photos, cameras, images))

    def show_result(self, out: Path) -> None:
        """Show the finished run until Ctrl-C."""
        from sparse3d_viewer.app import open_viewer
        from sparse3d_viewer.run import load_run

        self.view.close()
        handle = open_viewer([load_run(out)], server=self.server)
        print(f"The page stays: {handle.url}  (Ctrl-C stops it)", flush=True)
        handle.wait()


@contextmanager
def live_page(wanted: bool, port: int, title: str = "sparse3d") -> Iterator[LivePage | None]:
    """The page, or None where none is wanted; it ends with the block.

    Args:
        title: above the panel.

    Raises:
        InputError: the port cannot be listened on.
        MissingDependency: viser is not installed.
    """
    if not wanted:
        yield None
        return
    check_address(HOST, port)
    page = LivePage(port, title)
    print(f"The page: {page.server.url}", flush=True)
    try:
        yield page
    finally:
        page.view.close()
        page.server.stop()
