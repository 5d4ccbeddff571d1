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
from sparse3d_viewer.eye import Eye
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
        self._drawn: tuple[object, Reconstruction] | None = None
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
            return key, lambda: self._comparison(state, eye), False
        if state.layer in PICTURES:
            where = (eye.position.tobytes(), eye.wxyz.tobytes(), eye.fov_y_rad, eye.size)
            key = (state.run, state.layer, where, state.background, *_shown(state))
            frame = run.scene.frame
            return key, lambda: draw(self._scene(state), eye, frame, state.layer, state.background), True
        return ("plain", state.background), None, False

    def _comparison(self, state: ViewState, eye: Eye) -> NDArray[np.uint8] | None:
        pair = self._session.runs[state.run].pair(state.photo)
        return None if pair is None else compare(pair, state.comparison, state.wipe, eye.size, state.background)

    def _scene(self, state: ViewState) -> Reconstruction:
        """The run with the splats that are shown."""
        key = (state.run, *_shown(state))
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = (key, self._session.scene(state))
        return self._drawn[1]


def _shown(state: ViewState) -> tuple[object, ...]:
    """What of the state decides which splats are shown and how large."""
    return state.box, state.min_opacity, state.splat_size
