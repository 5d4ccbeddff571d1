"""Paints the pictures that lie over the scene: layers by our rasteriser once the eye has come to rest, and comparisons."""

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sparse3d.core.reconstruction import Reconstruction
from sparse3d_viewer.compare import OFF, compare
from sparse3d_viewer.drawing import PICTURES, draw
from sparse3d_viewer.session import Session, ViewState
from sparse3d_viewer.visitor import Visitor

log = logging.getLogger(__name__)

POLL_S = 0.05
SETTLE_S = 0.3
"""An eye that has not moved for so long has come to rest."""

Paint = Callable[[], NDArray[np.uint8] | None]


class Painter:
    """A thread that serves all visitors in turn, so that many of them draw one picture at a time."""

    def __init__(self, session: Session, visitors: Callable[[], list[Visitor]]) -> None:
        self._session, self._visitors = session, visitors
        self._cropped: tuple[object, Reconstruction] | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self._work, daemon=True, name="painter").start()

    def stop(self) -> None:
        """Paint no more."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.wait(POLL_S):
            for visitor in self._visitors():
                try:
                    self._serve(visitor)
                except Exception:  # one visitor who leaves at the wrong moment must not stop the others' pictures
                    if not self._stopped.is_set():
                        log.warning("a picture could not be painted", exc_info=True)

    def _serve(self, visitor: Visitor) -> None:
        state = self._session.state
        key, paint, at_rest = self._wanted(visitor, state)
        if visitor.painted == key:
            return
        plain = ("plain", state.background)
        if at_rest and time.monotonic() - visitor.moved_at < SETTLE_S:
            key, paint = plain, None
            if visitor.painted == plain:
                return
        picture = None if paint is None else paint()
        if picture is None:
            visitor.uncover(state.background)
        else:
            visitor.cover(picture)
        visitor.painted = key

    def _wanted(self, visitor: Visitor, state: ViewState) -> tuple[object, Paint | None, bool]:
        """A name of the picture that belongs over the scene, how to paint it, and whether the eye has to rest for it."""
        run, eye = self._session.runs[state.run], visitor.eye
        if state.comparison != OFF and visitor.through == state.photo:
            key = (state.run, state.photo, state.comparison, state.wipe, eye.size, state.background)

            def paint() -> NDArray[np.uint8] | None:
                pair = run.pair(state.photo)
                if pair is None:
                    return None
                return compare(pair, state.comparison, state.wipe, eye.size, state.background)

            return key, paint, False
        if state.layer in PICTURES:
            where = (eye.position.tobytes(), eye.wxyz.tobytes(), eye.fov_y_rad, eye.size)
            key = (state.run, state.layer, where, state.background, state.box)
            frame = run.scene.frame
            return key, lambda: draw(self._cut(state), eye, frame, state.layer, state.background), True
        return ("plain", state.background), None, False

    def _cut(self, state: ViewState) -> Reconstruction:
        """The run's reconstruction within the crop's box."""
        run = self._session.runs[state.run]
        if state.box is None:
            return run.loaded.reconstruction
        key = (state.run, state.box)
        if self._cropped is None or self._cropped[0] != key:
            self._cropped = (key, run.within(state.box.holds(run.scene.centres)))
        return self._cropped[1]
