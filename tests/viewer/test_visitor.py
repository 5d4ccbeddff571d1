"""A visitor's eye at a photo's place, whatever order the browser's messages come in."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer.run import LoadedRun
from sparse3d_viewer.session import Session
from sparse3d_viewer.shown import ShownRun
from sparse3d_viewer.visitor import Visitor

WIDE, NARROW = 2.0, 1.0
"""Shapes of the window, wider and narrower than the photos, which are 4:3."""


class Browser:
    """A browser that says where its eye is when the test wants it to."""

    def __init__(self) -> None:
        self.camera = SimpleNamespace(aspect=WIDE, fov=1.0, position=np.zeros(3), on_update=self._keep)
        self.scene = SimpleNamespace(add_camera_frustum=self._node, add_label=lambda *_args, **_options: None)
        self.atomic = nullcontext

    def _keep(self, callback) -> None:
        self._callback = callback

    @staticmethod
    def _node(*_args, **_options) -> SimpleNamespace:
        return SimpleNamespace(visible=True, on_click=lambda callback: callback)

    def says(self, position: np.ndarray, aspect: float) -> None:
        """A message about where the eye is and the window's shape reaches the server."""
        self.camera.position, self.camera.aspect = position, aspect
        self._callback(self.camera)


@pytest.fixture
def session() -> Session:
    return Session((ShownRun(LoadedRun("grey", make_reconstruction(), {})),))


def visitor_at(browser: Browser, session: Session, photo: str) -> Visitor:
    visitor = Visitor(browser, session, lambda *_: None)
    visitor.follow(session.state)
    visitor.look_through(photo, at_once=True)
    return visitor


def test_the_whole_photo_stays_in_the_window_though_a_message_comes_late(session):
    """As seen in a browser on a busy machine: where the eye was by default is told after where it was put."""
    browser, (first, *_) = Browser(), session.run.scene.viewpoints
    visitor = visitor_at(browser, session, first.name)
    browser.says(first.position, WIDE)
    assert browser.camera.fov == pytest.approx(first.fov_y_for(WIDE))
    browser.says(np.array([3.0, 3.0, 3.0]), WIDE)
    assert visitor.through == ""
    browser.says(first.position, NARROW)
    assert visitor.through == first.name
    assert browser.camera.fov == pytest.approx(first.fov_y_for(NARROW)) != pytest.approx(first.fov_y_for(WIDE))


def test_a_window_that_changes_while_the_eye_flies_holds_the_whole_photo(session, monkeypatch):
    browser, (first, second, _) = Browser(), session.run.scene.viewpoints
    visitor = visitor_at(browser, session, first.name)
    browser.camera.wxyz, browser.camera.image_width, browser.camera.image_height = first.wxyz, 800, 400
    monkeypatch.setattr("sparse3d_viewer.visitor.time.sleep", lambda _: browser.says(browser.camera.position, NARROW))
    visitor.look_through(second.name)
    assert np.allclose(browser.camera.position, second.position)
    assert browser.camera.fov == pytest.approx(second.fov_y_for(NARROW))


def test_who_walks_away_has_left_the_photo_and_keeps_the_field_of_view(session):
    browser, (first, *_) = Browser(), session.run.scene.viewpoints
    visitor = visitor_at(browser, session, first.name)
    browser.says(first.position, WIDE)
    browser.says(first.position + 0.5, NARROW)
    assert visitor.through == ""
    assert browser.camera.fov == pytest.approx(first.fov_y_for(WIDE))
