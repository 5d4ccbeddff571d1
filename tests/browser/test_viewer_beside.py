"""Two runs in one window, in a real browser: which is where, the line, the eye, the layer."""

import numpy as np
import pytest

from .pages import BESIDE, COMPARISON, LAYER, blobs_are_placed, expected_place, mask_of, place_of, share_of, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _one_run_before_and_after(visit):
    visit.tab("Scene")
    visit.look_through("first.jpg")
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")
    yield
    visit.handle.panel.beside.run.value = "Nothing"
    visit.handle.panel.layer.value = "Colour"
    visit.look_through("first.jpg")
    wait_for(lambda: blobs_are_placed(visit, 0), "the page to be as before")


def painted(visit) -> str:
    """What the picture over the scene shows."""
    return str(visit.handle.visitors()[0].painted)


def rested(visit) -> bool:
    """Whether the picture is the one for an eye at rest."""
    return "'beside'" in painted(visit)


def put_beside(visit) -> None:
    """The run without a green blob, right of the line."""
    visit.choose(BESIDE, "millimetres")
    wait_for(lambda: rested(visit), "both runs to be painted")


def test_the_other_run_is_right_of_the_line(visit, keep_picture):
    put_beside(visit)
    wait_for(
        lambda: not mask_of(visit.picture(), "green").any(),
        "the green blob, on the right, to go: only the left run has it",
    )
    picture = visit.picture()
    for colour in ("red", "blue"):
        assert np.linalg.norm(place_of(picture, colour) - expected_place(visit.scene, 0, colour, picture)) < 8, colour
    plate = picture[10:38].max(-1) < 60
    half = picture.shape[1] // 2
    assert plate[:, :half].sum() > 300 and plate[:, half:].sum() > 300, "both runs are named"
    assert "left known, right millimetres" in visit.page.inner_text("body")
    keep_picture("viewer_beside", visit.page.screenshot())


def test_the_line_is_moved(visit):
    put_beside(visit)
    wait_for(lambda: not mask_of(visit.picture(), "green").any(), "the second run on the right")
    line = visit.page.locator("input[inputmode=decimal]:visible").first
    line.fill("0.95")
    wait_for(lambda: visit.handle.session.state.divide == pytest.approx(0.95), "the line to be where it was put")
    wait_for(lambda: blobs_are_placed(visit, 0), "the first run alone, nearly")
    line.fill("0")
    wait_for(lambda: not mask_of(visit.picture(), "green").any(), "the second run alone")
    assert mask_of(visit.picture(), "red").any()
    line.fill("0.5")


def test_moving_the_eye_moves_both(visit):
    put_beside(visit)
    visit.handle.panel.beside.divide.value = 0.5
    before = visit.picture()
    camera, view = visit.camera, visit.handle.scene.viewpoints[0]
    seen = []
    for step in range(1, 6):  # while it moves, small pictures follow
        camera.position = view.position + 0.08 * step * view.rotation[:, 0]
        camera.look_at = view.target + 0.08 * step * view.rotation[:, 0]
        visit.page.wait_for_timeout(120)
        seen.append(painted(visit))
    assert any("'beside, moving'" in name for name in seen), seen
    wait_for(lambda: rested(visit), "the full picture once the eye rests")
    wait_for(lambda: place_of(visit.picture(), "red")[0] < place_of(before, "red")[0] - 20, "the left run to move")
    visit.handle.panel.beside.divide.value = 0.0
    wait_for(lambda: place_of(visit.picture(), "blue")[0] < place_of(before, "blue")[0] - 20, "the right run to move")
    visit.handle.panel.beside.divide.value = 0.5


def test_layers_are_shown_of_both(visit, keep_picture):
    put_beside(visit)
    visit.handle.panel.beside.divide.value = 0.25  # through the left blobs' middle, nearly
    visit.choose(LAYER, "Confidence")
    wait_for(lambda: rested(visit) and "Confidence" in painted(visit), "the layer")
    picture = visit.picture()
    x, y = np.round(expected_place(visit.scene, 0, "red", picture)).astype(int)
    line = round(0.25 * picture.shape[1])
    assert abs(line - x) < 40, "the line goes through the blob"
    for side in (slice(line - 12, line - 3), slice(line + 3, line + 12)):
        colour = picture[y - 8 : y + 8, side].mean((0, 1))
        assert colour[0] > 1.4 * colour[2] and colour[0] > 100, "sure is red in both"
    keep_picture("viewer_beside_layer", visit.page.screenshot())
    visit.choose(LAYER, "Depth")
    wait_for(lambda: rested(visit) and "Depth" in painted(visit), "the depth of both")
    visit.handle.panel.beside.divide.value = 0.5


def test_one_thing_is_compared_at_a_time(visit):
    put_beside(visit)
    visit.choose(COMPARISON, "Photo | rendering")
    wait_for(lambda: share_of(visit, "magenta") > 0.2, "the photo")
    assert visit.handle.session.state.beside is None and visit.handle.panel.beside.run.value == "Nothing"
    visit.choose(BESIDE, "millimetres")
    wait_for(lambda: share_of(visit, "magenta") == 0, "the photo to go")
    assert visit.handle.panel.comparison.value == "Off"


def test_a_run_beside_itself_is_told(visit):
    visit.choose(BESIDE, "known")
    wait_for(lambda: "known is on both sides" in visit.page.inner_text("body"), "the words")
