"""The crop's box: what lies outside is hidden, and left out of exports that ask for it."""

import numpy as np

from sparse3d_viewer.dependency import viser
from sparse3d_viewer.session import Box, Session

EXTENT_PERCENTILES = (1.0, 99.0)
"""The sliders cover this range of the centres along each axis, widened by a tenth: a far sky does not stretch them."""

STEP = 0.01
"""Of the sliders, in display units: a five-hundredth of the way to what a photo sees."""


class CropTool:
    """The folder of the panel and what it does."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._session = session
        low, high = _extent(session.run.scene.centres)
        with server.gui.add_folder("Crop", expand_by_default=True):
            self.active = server.gui.add_checkbox("Crop", initial_value=False, hint="Hide what lies outside of a box")
            self.ranges = [
                server.gui.add_multi_slider(
                    axis,
                    min=round(float(low[i]), 2),
                    max=round(float(high[i]), 2),
                    step=STEP,
                    initial_value=(round(float(low[i]), 2), round(float(high[i]), 2)),
                    visible=False,
                )
                for i, axis in enumerate(("X", "Y", "Z"))
            ]
        for control in (self.active, *self.ranges):
            control.on_update(lambda _event: self._apply())

    def _apply(self) -> None:
        for slider in self.ranges:
            slider.visible = self.active.value
        values = [slider.value for slider in self.ranges]
        low, high = ((values[0][i], values[1][i], values[2][i]) for i in (0, 1))
        self._session.update(box=Box(low, high) if self.active.value else None)


def _extent(centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(centres) == 0:
        return -np.ones(3), np.ones(3)
    low, high = np.percentile(centres.astype(np.float64), EXTENT_PERCENTILES, axis=0)
    room = 0.1 * np.maximum(high - low, 1e-3)
    return np.floor((low - room) / STEP) * STEP, np.ceil((high + room) / STEP) * STEP
