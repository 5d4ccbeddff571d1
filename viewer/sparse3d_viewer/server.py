"""viser's server as this program runs it: no public tunnel, no uploads, one panel at the right, words about the network."""

import contextlib
import io
import logging
import threading

from sparse3d_viewer.dependency import viser

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


class PageServer(viser.ViserServer):
    """viser's server without its tunnel to a public address, which any visitor could otherwise ask for."""

    _ended: threading.Event

    def request_share_url(self, verbose: bool = True) -> str | None:
        log.warning("a visitor asked to share this page publicly: refused")
        return None

    @property
    def url(self) -> str:
        """Where the page is. Its port differs from the one asked for when that was taken."""
        host = self.get_host()
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{self.get_port()}"

    def furnish(self, title: str) -> None:
        """The page's frame: its title, the panel at the right, nothing that leads elsewhere."""
        self.gui.set_panel_label(title)
        self.gui.configure_theme(show_logo=False, show_share_button=False)
        self.gui.main_panel.dock_right()

    def clear(self, title: str) -> None:
        """Take everything off the page, for something else to be shown; visitors stay."""
        self.gui.reset()
        self.scene.reset()
        self.furnish(title)

    def wait(self) -> None:
        """Block until `stop` is called from another thread."""
        while not self._ended.wait(timeout=1.0):
            pass

    def stop(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            with contextlib.redirect_stdout(io.StringIO()):  # viser says so on the terminal
                super().stop()


def open_server(host: str, port: int, *, title: str) -> PageServer:
    """Start a server and return at once.

    Args:
        host: address to listen on; beyond this machine the log says what that means.
        port: to listen on; the next free one where it is taken.
    """
    if host not in LOOPBACK_HOSTS:
        log.warning(
            "listening on %s: everybody who can reach this machine over the network can see the scene and its photos "
            "and move the controls; there is no password",
            host,
        )
    with contextlib.redirect_stdout(io.StringIO()):  # viser's own banner; the command line names the address
        server = PageServer(host=host, port=port, label=title, verbose=False)
    server._ended = threading.Event()
    server.furnish(title)
    return server
