"""The application: a server with one scene and one panel, and what happens when somebody uses them."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from sparse3d_viewer.crop import CropTool
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.export import ExportTool
from sparse3d_viewer.film import FilmTool
from sparse3d_viewer.first_view import set_first_view
from sparse3d_viewer.frame import frame_beside
from sparse3d_viewer.measure import MeasureTool
from sparse3d_viewer.move import MoveTool
from sparse3d_viewer.next_photos import NextPhotosFolder
from sparse3d_viewer.nodes import CloudNode, SplatNode, SurfaceNode
from sparse3d_viewer.painter import Painter
from sparse3d_viewer.panel import Panel, build_scene_tab, connect_panel
from sparse3d_viewer.run import LoadedRun, load_run
from sparse3d_viewer.scene import DisplayScene
from sparse3d_viewer.server import PageServer, open_server
from sparse3d_viewer.session import Session, ViewState
from sparse3d_viewer.shown import ShownRun
from sparse3d_viewer.visitor import Visitor

log = logging.getLogger(__name__)


class ViewerHandle:
    """A running page.

    Attributes:
        server: viser's, for those who want to add to the scene.
        session: the runs and what is shown of them.
        panel: the controls of the first tab; next_photos: its last folder; measure, crop, film, export: of the others.
    """

    def __init__(self, server: PageServer, session: Session) -> None:
        self.server, self.session = server, session
        self._visitors: dict[int, Visitor] = {}
        self._lock = threading.Lock()
        SplatNode(server, session)
        CloudNode(server, session)
        SurfaceNode(server, session)
        self._painter = Painter(session, self.visitors)
        self._build_panel()
        session.follow(self._follow)
        server.on_client_connect(self._welcome)
        server.on_client_disconnect(self._dismiss)

    @property
    def scene(self) -> DisplayScene:
        """What is drawn, in display units."""
        return self.session.run.scene

    @property
    def url(self) -> str:
        """Where the page is. Its port differs from the one asked for when that was taken."""
        return self.server.url

    def wait(self) -> None:
        """Block until `stop` is called or the user presses Ctrl-C, which stops the server."""
        try:
            self.server.wait()
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Stop serving."""
        self._painter.stop()
        self.server.stop()

    def look_through(self, client: viser.ClientHandle, name: str) -> None:
        """Show a visitor the scene from a photo."""
        visitor = self._visitor(client)
        if visitor is not None:
            visitor.look_through(name)

    def visitors(self) -> list[Visitor]:
        """Everybody who looks at the page now."""
        with self._lock:
            return list(self._visitors.values())

    def _visitor(self, client: viser.ClientHandle) -> Visitor | None:
        with self._lock:
            return self._visitors.get(client.client_id)

    def _build_panel(self) -> None:
        gui, session = self.server.gui, self.session
        tabs = gui.add_tab_group()
        with tabs.add_tab("Scene"):
            handles = build_scene_tab(gui, session)
            self.next_photos = NextPhotosFolder(self.server, session, self.look_through)
        with tabs.add_tab("Tools"):
            self.move = MoveTool(self.server, self.visitors)
            self.measure = MeasureTool(self.server, session)
            self.crop = CropTool(self.server, session)
            self.film = FilmTool(self.server, session)
        with tabs.add_tab("Export"):
            self.export = ExportTool(self.server, session)
        with tabs.add_tab("Quality"):
            handles["quality"] = gui.add_html("")
        self.panel = Panel(**handles)  # pyright: ignore[reportArgumentType]
        connect_panel(self.panel, session)

        @self.panel.look_through.on_click
        def _(event: viser.GuiEvent) -> None:
            if event.client is not None:
                self.look_through(event.client, session.state.photo)

        @self.panel.comparison.on_update
        def _(event: viser.GuiEvent) -> None:
            if event.client is not None:
                self.look_through(event.client, session.state.photo)

    def _follow(self, state: ViewState) -> None:
        for visitor in self.visitors():
            visitor.follow(state)

    def _clicked(self, client: viser.ClientHandle, name: str) -> None:
        """A camera was clicked, which is not meant while measuring: the click is for what lies under it."""
        if not self.measure.active.value:
            if all(name != place.name for place in self.session.run.places):
                self.session.update(photo=name)
            self.look_through(client, name)

    def _welcome(self, client: viser.ClientHandle) -> None:
        """Whoever opens the page sees the whole first photo's view in the window."""
        visitor = Visitor(client, self.session, self._clicked)
        visitor.follow(self.session.state)
        if self.scene.viewpoints:
            visitor.look_through(self.scene.viewpoints[0].name, at_once=True)
        with self._lock:
            self._visitors[client.client_id] = visitor

    def _dismiss(self, client: viser.ClientHandle) -> None:
        with self._lock:
            self._visitors.pop(client.client_id, None)


def serve(*runs: Path, host: str = "127.0.0.1", port: int = 8080) -> ViewerHandle:
    """Serve run folders on one page and return at once; `ViewerHandle.wait` blocks.

    Args:
        runs: folders that `sparse3d reconstruct` wrote; the first is shown first.
        host: address to listen on. The default is reachable from this machine only.
        port: to listen on; the next free one where it is taken.

    Raises:
        InputError: a folder holds no reconstruction.
    """
    return open_viewer([load_run(run) for run in runs], host=host, port=port)


def open_viewer(
    runs: Sequence[LoadedRun], *, host: str = "127.0.0.1", port: int = 8080, server: PageServer | None = None
) -> ViewerHandle:
    """Serve runs on one page and return at once.

    Args:
        runs: one at least; the first is shown first, and the others are put where it is, by the photos in common.
        host: address to listen on. The default is reachable from this machine only.
        port: to listen on; the next free one where it is taken.
        server: one that runs already and shows something else, which gives way.
    """
    shown = show_side_by_side(runs)
    title = " | ".join(run.title for run in runs)
    if server is None:
        server = open_server(host, port, title=title)
    else:
        server.clear(title)
    set_first_view(server, shown[0].scene)
    return ViewerHandle(server, Session(shown))


def show_side_by_side(runs: Sequence[LoadedRun]) -> tuple[ShownRun, ...]:
    """Runs in the display frame of the first."""
    first = ShownRun(runs[0])
    shown = [first]
    for run in runs[1:]:
        frame = frame_beside(first.scene.frame, runs[0].reconstruction.cameras, run.reconstruction.cameras)
        shown.append(ShownRun(run, frame, aligned=frame is not None))
        if frame is None:
            log.warning("%s has fewer than two photos in common with %s: not aligned", run.title, runs[0].title)
    return tuple(shown)
