"""The controls that put a second run beside the first."""

from sparse3d_viewer import text
from sparse3d_viewer.compare import OFF
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.session import Session, ViewState

NOTHING = "Nothing"


class BesideTool:
    """A selector of the run on the right of the line, where the line is, and which run is where.

    Args:
        labels: what the runs are called on the page.
    """

    def __init__(self, gui: viser.GuiApi, session: Session, labels: list[str]) -> None:
        self._session, self._labels = session, labels
        self._comparison = session.state.comparison
        self.run = gui.add_dropdown(
            "Beside",
            options=(NOTHING, *labels),
            initial_value=NOTHING,
            hint="Show another run on the right of a line, from the same place",
        )
        self.divide = gui.add_slider("Line", min=0.0, max=1.0, step=0.01, initial_value=0.5, visible=False)
        self.words = gui.add_html("", visible=False)
        self.run.on_update(lambda _event: self._choose())
        self.divide.on_update(lambda _event: session.update(divide=self.divide.value))
        session.follow(self._follow)

    def _choose(self) -> None:
        """One thing is compared at a time: a photo's comparison ends."""
        if self.run.value == NOTHING:
            self._session.update(beside=None)
        else:
            self._session.update(beside=self._labels.index(self.run.value), comparison=OFF)

    def _follow(self, state: ViewState) -> None:
        began, self._comparison = self._comparison == OFF and state.comparison != OFF, state.comparison
        if began and state.beside is not None:
            self.run.value = NOTHING
            return
        shown = state.beside is not None
        self.divide.visible = self.words.visible = shown
        if state.beside is not None:
            self.words.content = self._tell(state.run, state.beside)

    def _tell(self, left: int, right: int) -> str:
        aligned = self._session.runs[left].aligned and self._session.runs[right].aligned
        return text.beside(self._labels[left], self._labels[right], aligned=aligned)
