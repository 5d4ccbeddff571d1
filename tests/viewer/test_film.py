"""Films show the layer that the page shows."""

import numpy as np
import pytest

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer.eye import Eye
from sparse3d_viewer.film import FilmTool
from sparse3d_viewer.run import LoadedRun
from sparse3d_viewer.server import open_server
from sparse3d_viewer.session import Session
from sparse3d_viewer.shown import ShownRun


@pytest.fixture
def film():
    server = open_server("127.0.0.1", 0, title="test")
    layers = {"Width": np.linspace(0, 1, 200).astype(np.float32)}
    session = Session((ShownRun(LoadedRun("grey", make_reconstruction(), {}, layers=layers)),))
    yield FilmTool(server, session), session
    server.stop()


def frames(film: FilmTool, session: Session) -> np.ndarray:
    """From the first photo's place and from a step behind it."""
    view = session.run.scene.viewpoints[0]
    eyes = [Eye(view.position - back * view.rotation[:, 2], view.wxyz, view.fov_y_rad, (64, 48)) for back in (0.0, 2.0)]
    return np.stack(list(film._frames(eyes))).astype(int)


def colourful(pictures: np.ndarray) -> float:
    """Share of pixels that are not grey."""
    return float((np.ptp(pictures, axis=-1) > 60).mean())


@pytest.mark.parametrize(("layer", "per_pixel", "grey"), [
    ("Colour", False, True), ("Colour", True, True), ("Rendered colour", False, True), ("Depth", False, False),
    ("Normals", False, False), ("Width", False, False), ("Width", True, False),
])  # fmt: skip
def test_a_film_shows_the_layer(film, layer, per_pixel, grey):
    tool, session = film
    session.update(layer=layer, per_pixel=per_pixel, background=(255, 255, 255))
    pictures = frames(tool, session)
    assert pictures.shape == (2, 48, 64, 3) and (pictures[:, 0, 0] == 255).all()
    assert (pictures.min(-1) < 200).mean() > 0.02, "something is drawn"
    assert (colourful(pictures) < 0.001) == grey


def test_depth_has_one_scale_in_the_whole_film(film, monkeypatch):
    tool, session = film
    monkeypatch.setattr("sparse3d_viewer.film.FPS", 1)
    session.update(layer="Depth", background=(0, 0, 0))
    near, far = frames(tool, session)
    warm = [(p[..., 0] > p[..., 2] + 40)[p.max(-1) > 60].mean() for p in (near, far)]
    assert warm[0] > warm[1] + 0.3, "the nearer eye sees warmer colours"
