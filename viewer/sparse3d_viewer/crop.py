"""The crop: what lies outside of a box is hidden, and left out of exports that ask for it."""

import threading

import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer import text
from sparse3d_viewer.crop_box import CropBox, Grip, grips_for
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.session import Box, Session

EXTENT_PERCENTILES = (1.0, 99.0)
"""The sliders cover this range of the centres along each axis, widened by a tenth: a far sky does not stretch them."""

STEP = 0.01
"""Of the sliders, in display units: a five-hundredth of the way to what a photo sees."""


class CropTool:
    """The folder of the panel and what it does. The sliders hold the box; arrows in the scene move the sliders.

    Attributes:
        grips: where the arrows are; the first moves the whole box.
    """

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._session = session
        self._lock, self._setting = threading.RLock(), False
        self._low, self._high = _extent(session.run.scene.centres)
        with server.gui.add_folder("Crop", expand_by_default=True):
            self.active = server.gui.add_checkbox("Crop", initial_value=False, hint="Hide what lies outside of a box")
            self.arrows = server.gui.add_checkbox(
                "Arrows", initial_value=True, visible=False, hint="Drag a face of the box, or all of it by a corner"
            )
            self.ranges = [
                server.gui.add_multi_slider(
                    axis,
                    min=float(low),
                    max=float(high),
                    step=STEP,
                    initial_value=(float(low), float(high)),
                    visible=False,
                )
                for axis, low, high in zip("XYZ", self._low, self._high, strict=True)
            ]
            self.numbers = server.gui.add_html("", visible=False)
        viewpoints = session.run.scene.viewpoints
        self.grips = grips_for(viewpoints[0] if viewpoints else None)
        self._box = CropBox(server, self.grips, self.drag)
        for control in (self.active, self.arrows, *self.ranges):
            control.on_update(lambda _event: self._apply())

    @property
    def box(self) -> Box:
        """As the sliders have it."""
        low, high = (tuple(float(slider.value[i]) for slider in self.ranges) for i in (0, 1))
        return Box(low, high)  # pyright: ignore[reportArgumentType]

    def drag(self, grip: Grip, to: NDArray[np.float64], let_go: bool) -> None:
        """An arrow was moved.

        The sliders and the edges follow at once; what lies outside goes when the arrow is let go, since it takes megabytes
        to send the splats anew.
        """
        with self._lock:
            if not self.active.value:
                return
            self._type(grip, grip.moved(self.box, to))
            self.numbers.content = text.box(self.box)
            self._box.show(self.box, arrows=self.arrows.value, held=None if let_go else grip)
            if let_go:
                self._session.update(box=self.box)

    def _type(self, grip: Grip, box: Box) -> None:
        """Set the sliders as far as they go: the whole box keeps its size, a face stops at the opposite one."""
        ends = np.array([box.low, box.high])
        if grip.axis is None:
            ends += np.maximum(self._low - ends[0], 0) + np.minimum(self._high - ends[1], 0)
        else:
            still = ends[1 - grip.side, grip.axis]
            reach = (self._low[grip.axis], still - STEP) if grip.side == 0 else (still + STEP, self._high[grip.axis])
            ends[grip.side, grip.axis] = np.clip(ends[grip.side, grip.axis], *sorted(reach))
        self._setting = True
        try:
            for slider, low, high in zip(self.ranges, *np.round(ends, 2), strict=True):
                slider.value = (float(low), float(high))
        finally:
            self._setting = False

    def _apply(self) -> None:
        """A control was used."""
        with self._lock:
            if self._setting:
                return
            for control in (self.arrows, *self.ranges, self.numbers):
                control.visible = self.active.value
            self.numbers.content = text.box(self.box)
            box = self.box if self.active.value else None
            self._box.show(box, arrows=self.arrows.value)
            self._session.update(box=box)


def _extent(centres: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sliders' ends (3), in whole steps."""
    if len(centres) == 0:
        return -np.ones(3), np.ones(3)
    low, high = np.percentile(centres.astype(np.float64), EXTENT_PERCENTILES, axis=0)
    room = 0.1 * np.maximum(high - low, 1e-3)
    return np.round(np.floor((low - room) / STEP) * STEP, 2), np.round(np.ceil((high + room) / STEP) * STEP, 2)
