"""Which picture belongs over the scene, and how it is made."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer.beside import Look, draw_beside
from sparse3d_viewer.compare import OFF, compare
from sparse3d_viewer.drawing import PICTURES, draw, draw_figures
from sparse3d_viewer.eye import Eye, camera_of
from sparse3d_viewer.session import Session, ViewState
from sparse3d_viewer.shown import run_labels
from sparse3d_viewer.subject import Subject, decides, subject_of

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Wanted:
    """A picture for a visitor.

    Attributes:
        key: its name; pictures of one name are alike.
        paint: makes it, or None where it cannot be made; None for the plain scene.
        meanwhile: what is shown until the eye has come to rest; None where that need not be waited for.
    """

    key: object
    paint: Callable[[], Picture | None] | None = None
    meanwhile: "Wanted | None" = None


class PictureMaker:
    """Knows what the state asks for; keeps the splats of the last picture, since the next one mostly shows the same."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._labels = run_labels(session.runs)
        self._subjects: dict[int, tuple[object, Subject]] = {}

    def wanted(self, state: ViewState, eye: Eye, through: str) -> Wanted:
        """The picture for an eye.

        Args:
            through: name of the photo whose place the visitor has not left.
        """
        plain = Wanted(("plain", state.background))
        if state.comparison != OFF and through == state.photo:
            key = (state.run, state.photo, state.comparison, state.wipe, eye.size, state.background)
            return Wanted(key, lambda: self._compare(state, eye))
        where = (eye.position.tobytes(), eye.wxyz.tobytes(), eye.fov_y_rad, eye.size, state.background, decides(state))
        if state.beside is not None:
            moving, rested = (
                Wanted((how, state.run, state.beside, state.divide, *where), self._beside(state, eye, moving))
                for how, moving in (("beside, moving", True), ("beside", False))
            )
            return Wanted(rested.key, rested.paint, moving)
        if state.layer in PICTURES:
            return Wanted((state.run, state.layer, *where), lambda: self._draw(state, eye), plain)
        if state.per_pixel and state.layer in self._session.runs[state.run].recolours:
            return Wanted((state.run, state.layer, "per pixel", *where), lambda: self._figures(state, eye), plain)
        return plain

    def _compare(self, state: ViewState, eye: Eye) -> Picture | None:
        pair = self._session.runs[state.run].pair(state.photo)
        return None if pair is None else compare(pair, state.comparison, state.wipe, eye.size, state.background)

    def _draw(self, state: ViewState, eye: Eye) -> Picture:
        subject = self._subject(state, state.run)
        return draw(subject, camera_of(eye, subject.frame, eye.picture_size), state.layer, state.background)

    def _figures(self, state: ViewState, eye: Eye) -> Picture | None:
        subject, scale = self._subject(state, state.run), self._session.scale(state.layer)
        if scale is None:
            return None
        camera = camera_of(eye, subject.frame, eye.picture_size)
        return draw_figures(subject, camera, state.layer, scale, state.background)

    def _beside(self, state: ViewState, eye: Eye, moving: bool) -> Callable[[], Picture]:
        def paint() -> Picture:
            left, right = state.run, state.run if state.beside is None else state.beside
            look = Look(state.layer, self._session.scale(state.layer), state.background)
            subjects = (self._subject(state, left), self._subject(state, right))
            names = (self._labels[left], self._labels[right])
            return draw_beside(subjects, names, eye, state.divide, look, moving=moving)

        return paint

    def _subject(self, state: ViewState, run_index: int) -> Subject:
        """A run with the splats that are shown."""
        key = decides(state)
        if run_index not in self._subjects or self._subjects[run_index][0] != key:
            self._subjects[run_index] = (key, subject_of(self._session, state, run_index))
        return self._subjects[run_index][1]
