"""Where to take the next photos, in a real browser: drawn, told, clicked, hidden."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from sparse3d.core import se3
from sparse3d.core.coverage import Coverage, NextPhoto
from sparse3d.io.coverage_json import write_coverage
from sparse3d.io.run_folder import RunFolder

from .pages import stands_at, wait_for
from .run_folders import known_cameras, known_scene, write_known_run

pytestmark = pytest.mark.browser

WORDS = ("one step to the right of first.jpg", "one step to the left of first.jpg")


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory) -> Iterator:
    """The known run with two places, one unit to the right of and to the left of the first photo's."""
    pytest.importorskip("viser", reason="viser is not installed")
    from sparse3d_viewer import serve

    from .pages import open_page

    folder = write_known_run(tmp_path_factory.mktemp("places") / "run", known_scene())
    places = []
    for words, x in zip(WORDS, (1.0, -1.0), strict=True):
        pose = se3.compose(torch.eye(3, dtype=torch.float64), torch.tensor([-x, 0, 0], dtype=torch.float64))
        camera = known_cameras(1.0).select([0]).replace(cam_from_world=pose[None])
        places.append(NextPhoto(camera, 0.25, "first.jpg", words))
    coverage = Coverage(("Well.",), (0.0, 0.2, 0.8, 0.0), 0.0, (), tuple(places), 1.0)
    write_coverage(RunFolder(folder).coverage, coverage)
    with open_page(browser, serve(folder), known_scene()) as opened:
        yield opened


def ghosts(visit) -> np.ndarray:
    """Pixels of the ghost cameras' colour: more of red than of blue, hardly any green."""
    picture = visit.picture()
    red, green, blue = (picture[..., i] for i in range(3))
    return (red > 140) & (green < 90) & (blue > 60) & (blue < 130) & (abs(picture.sum(-1) - 309) < 90)


def on_the_right(visit) -> np.ndarray:
    """The same in the right half of the picture."""
    mask = ghosts(visit)
    mask[:, : mask.shape[1] // 2] = False
    return mask


def thickest(visit) -> tuple[float, float]:
    """The pixel (x, y) in the right half with the most ghost pixels around it."""
    around = uniform_filter(on_the_right(visit).astype(float), size=7)
    y, x = np.unravel_index(around.argmax(), around.shape)
    return float(x), float(y)


def test_places_are_drawn_told_and_hidden(page, keep_picture):
    page.step_back()
    wait_for(lambda: ghosts(page).sum() > 150, "the places to show")
    keep_picture("viewer_next_photos", page.page.screenshot())
    columns = np.nonzero(ghosts(page).any(0))[0]
    middle = page.picture().shape[1] / 2
    assert columns.min() < middle < columns.max(), "one on either side of the first photo"
    text = page.page.inner_text("body")
    for words in WORDS:
        assert words in text
    assert "25 % of the expected error" in text
    assert "+1" in text and "+2" in text
    page.page.wait_for_timeout(500)  # the eye's move is on its way to the browser and back
    wait_for(lambda: (page.picture() == page.picture()).all(), "the picture to rest")
    full = ghosts(page).sum()
    page.toggle("Places")
    wait_for(lambda: ghosts(page).sum() < 0.2 * full, "the places to go")  # edges of red before magenta look alike
    assert not page.handle.session.state.places
    page.toggle("Places")
    # A slow browser draws at a lower resolution, where lines are paler.
    wait_for(lambda: ghosts(page).sum() > 0.7 * full, "the places to come back")


def test_a_button_and_a_click_lead_there(page):
    first, second = page.handle.session.run.places
    page.press("+2")
    wait_for(lambda: stands_at(page.camera, second), "the eye to go to the second place")
    page.step_back()
    wait_for(lambda: on_the_right(page).sum() > 100, "the first place to show")
    # Where its lines are thickest, and only once the picture has come to rest.
    wait_for(lambda: thickest(page) == thickest(page), "the picture to rest")
    x, y = thickest(page)
    page.page.mouse.click(x, y)
    wait_for(lambda: stands_at(page.camera, first), "the click to lead to the first place")
    assert page.handle.session.state.photo == "first.jpg", "no photo was chosen"
    page.look_through("first.jpg")
