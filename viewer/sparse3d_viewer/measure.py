"""Measuring: two clicks on the scene, and a length that the user knows to fix the scale."""

import threading
from html import escape

import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer.dependency import viser
from sparse3d_viewer.drawing import pick
from sparse3d_viewer.eye import Eye
from sparse3d_viewer.session import Session

COLOUR = (240, 140, 0)
MARK_SIZE = 0.006
"""Radius of a mark as a share of its distance from the eye."""


class MeasureTool:
    """The folder of the panel and what it does.

    Attributes:
        points: the ends clicked so far, in display units: none, one or two.
        unit_per_scene: lengths in the user's unit in one scene unit; None until a known length was given.
    """

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._server, self._session = server, session
        self._lock = threading.Lock()
        self.points: list[NDArray[np.float64]] = []
        self.unit_per_scene: float | None = None
        self._unit = ""
        with server.gui.add_folder("Measure", expand_by_default=True):
            self.active = server.gui.add_checkbox("Measure by two clicks", initial_value=False)
            self.result = server.gui.add_html("")
            self.known = server.gui.add_number("Known length", initial_value=1.0, min=0.0, step=0.001)
            self.unit = server.gui.add_text("Unit", initial_value="m")
            self.fix = server.gui.add_button(
                "This is the known length", hint="The line measured last has the length that you typed", disabled=True
            )
        self.active.on_update(self._switch)
        self.fix.on_click(lambda _event: self.fix_scale())
        self._tell()

    @property
    def length(self) -> float | None:
        """Of the line, in scene units of the run shown; None without two ends."""
        if len(self.points) < 2:
            return None
        return float(np.linalg.norm(self.points[1] - self.points[0])) / self._session.run.scene.frame.scale

    def fix_scale(self) -> None:
        """Let the line that is there have the length that the user typed, for all lines until the page closes."""
        length = self.length
        if length and self.known.value > 0:
            self.unit_per_scene = self.known.value / length
            self._unit = self.unit.value.strip()
            self._draw()

    def _switch(self, _event: viser.GuiEvent) -> None:
        if self.active.value:
            self._server.scene.on_click()(self._clicked)
        else:
            self._server.scene.remove_click_callback(self._clicked)
            with self._lock:
                self.points = []
            self._draw()
        self._tell()

    def _clicked(self, event: viser.SceneClickEvent) -> None:
        run = self._session.run
        eye = Eye.of(event.client.camera)
        gaussians = self._session.scene(self._session.state).gaussians
        point = pick(gaussians.activate(), run.scene.frame, eye, np.array(event.ray_direction))
        if point is None:
            self.result.content = _line("nothing lies there")
            return
        with self._lock:
            self.points = [point] if len(self.points) == 2 else [*self.points, point]
        self._draw(float(np.linalg.norm(point - eye.position)))

    def _draw(self, distance: float = 5.0) -> None:
        scene, points = self._server.scene, list(self.points)
        for i in range(2):
            name = f"/measure/end{i}"
            if i < len(points):
                scene.add_icosphere(name, radius=MARK_SIZE * distance, color=COLOUR, position=points[i])
            else:
                scene.remove_by_name(name)
        if len(points) == 2:
            scene.add_line_segments(
                "/measure/line", np.stack(points)[None], colors=COLOUR, thickness=3.0, thickness_units="screen"
            )
            scene.add_label("/measure/label", self._length_text(), position=(points[0] + points[1]) / 2)
        else:
            scene.remove_by_name("/measure/line")
            scene.remove_by_name("/measure/label")
        self._tell()

    def _length_text(self) -> str:
        length = self.length or 0.0
        if self.unit_per_scene is None:
            return f"{length:.4g} scene units"
        return f"{length * self.unit_per_scene:.4g} {self._unit}".strip()

    def _tell(self) -> None:
        self.fix.disabled = len(self.points) < 2
        if not self.active.value:
            words = "switch it on, then click two points"
        elif len(self.points) < 2:
            words = "click the first point" if not self.points else "click the second point"
        else:
            words = self._length_text()
        self.result.content = _line(words)


def _line(words: str) -> str:
    return f"<div style='padding:0.2em 1em;font-size:0.9em'>{escape(words)}</div>"
