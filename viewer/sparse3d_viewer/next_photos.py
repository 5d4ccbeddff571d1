"""The folder of the panel that tells where to take the next photos; the scene shows cameras there."""

from collections.abc import Callable

from sparse3d.core.coverage import Coverage
from sparse3d_viewer import text
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.session import Session, ViewState


class NextPhotosFolder:
    """Whether the places are drawn, a button for each that leads there, and what they promise.

    Args:
        look_through: puts a visitor's eye at the place of a name.
    """

    def __init__(
        self, server: viser.ViserServer, session: Session, look_through: Callable[[viser.ClientHandle, str], None]
    ) -> None:
        self._session, self._run = session, -1
        most = max((len(run.places) for run in session.runs), default=0)
        with server.gui.add_folder("Next photos", visible=most > 0):
            self.shown = server.gui.add_checkbox("Places", initial_value=True, hint="Where to take the next photos")
            self.buttons = server.gui.add_button_group(
                "Go to", tuple(f"+{i + 1}" for i in range(max(1, most))), hint="Put your eye at this place"
            )
            self.words = server.gui.add_html("")

        @self.shown.on_update
        def _(_event: viser.GuiEvent) -> None:
            session.update(places=self.shown.value)

        @self.buttons.on_click
        def _(event: viser.GuiEvent) -> None:
            if event.client is not None:
                look_through(event.client, self.buttons.value)

        session.follow(self._follow)

    def _follow(self, state: ViewState) -> None:
        if state.run != self._run:
            self._run = state.run
            coverage: Coverage | None = self._session.runs[state.run].loaded.coverage
            self.words.content = text.next_photos(coverage)
