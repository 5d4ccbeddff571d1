"""Paints the pictures that lie over the scene: layers by our rasteriser once the eye has come to rest, and comparisons."""

import logging
import threading
import time
from collections.abc import Callable

from sparse3d_viewer.session import Session
from sparse3d_viewer.visitor import Visitor
from sparse3d_viewer.wanted import PictureMaker

log = logging.getLogger(__name__)

POLL_S = 0.05
SETTLE_S = 0.3
"""An eye that has not moved for so long has come to rest."""


class Painter:
    """A thread that serves all visitors in turn, so that many of them draw one picture at a time."""

    def __init__(self, session: Session, visitors: Callable[[], list[Visitor]]) -> None:
        self._session, self._visitors = session, visitors
        self._maker = PictureMaker(session)
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
        wanted = self._maker.wanted(state, visitor.eye, visitor.through)
        if visitor.painted == wanted.key:
            return
        if wanted.meanwhile is not None and time.monotonic() - visitor.moved_at < SETTLE_S:
            wanted = wanted.meanwhile
            if visitor.painted == wanted.key:
                return
        picture = None if wanted.paint is None else wanted.paint()
        if picture is None:
            visitor.uncover(state.background)
        else:
            visitor.cover(picture)
        visitor.painted = wanted.key
