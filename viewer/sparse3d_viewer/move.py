"""How the mouse moves the eye: around the scene, or as a head that turns while the keys walk."""

from collections.abc import Callable

import numpy as np

from sparse3d_viewer.dependency import viser
from sparse3d_viewer.frame import TYPICAL_DISTANCE
from sparse3d_viewer.visitor import WALK_DISTANCE, Visitor

ORBIT, WALK = "Orbit", "Walk"

KEYS = (
    "<div style='padding:0.2em 1em;font-size:0.85em'>W A S D: walk &middot; Q E: down and up &middot; arrows: turn "
    "&middot; click the scene first</div>"
)


class MoveTool:
    """The folder of the panel and what it does; each visitor chooses for themselves."""

    def __init__(self, server: viser.ViserServer, visitors: Callable[[], list[Visitor]]) -> None:
        self._visitors = visitors
        with server.gui.add_folder("Move", expand_by_default=True):
            self.mode = server.gui.add_button_group(
                "Mouse", (ORBIT, WALK), hint="Orbit: drag around the scene. Walk: drag to turn your head"
            )
            server.gui.add_html(KEYS)
        self.mode.on_click(self._choose)

    def _choose(self, event: viser.GuiEvent) -> None:
        for visitor in self._visitors():
            if event.client is not None and visitor.client.client_id == event.client.client_id:
                near = np.linalg.norm(visitor.client.camera.position - visitor.client.camera.look_at)
                if self.mode.value == WALK:
                    visitor.turn_about(WALK_DISTANCE)
                elif near < TYPICAL_DISTANCE / 10:
                    visitor.turn_about(TYPICAL_DISTANCE)
