"""The crop's box, dragged by its arrows in a real browser: numbers, edges and splats follow."""

import numpy as np
import pytest

from .pages import blobs_are_placed, mask_of, wait_for

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer.crop_box import ARROW_PX, Grip

pytestmark = pytest.mark.browser

ON_THE_ARROW = 0.6 * ARROW_PX
"""Where an arrow is taken hold of, from its foot."""


@pytest.fixture(autouse=True)
def _crop(visit):
    visit.tab("Tools")
    visit.look_through("first.jpg")
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")
    before = [slider.value for slider in visit.handle.crop.ranges]
    visit.page.get_by_role("checkbox", name="Crop", exact=True).click()
    wait_for(lambda: visit.handle.session.state.box is not None, "the crop to be on")
    yield visit.handle.crop
    visit.page.get_by_role("checkbox", name="Crop", exact=True).click()
    wait_for(lambda: blobs_are_placed(visit, 0), "everything to come back")
    for slider, value in zip(visit.handle.crop.ranges, before, strict=True):
        slider.value = value


def pixel_of(visit, point: np.ndarray) -> np.ndarray:
    """Where a point of the display shows in the picture, seen from the first photo."""
    camera = visit.camera
    view, size = visit.handle.scene.viewpoints[0], np.array(visit.picture().shape[1::-1])
    point_cam = (point - view.position) @ view.rotation
    focal = size[1] / (2 * np.tan(camera.fov / 2))
    return focal * point_cam[:2] / point_cam[2] + size / 2


def drag(visit, grip: Grip, by: tuple[float, float], outward: tuple[float, float]) -> None:
    """Take hold of an arrow, whose direction on the screen is given, and move it by so many pixels."""
    foot = pixel_of(visit, grip.place(visit.handle.crop.box))
    x, y = foot + ON_THE_ARROW * np.array(outward)
    mouse = visit.page.mouse
    mouse.move(x, y)
    visit.page.wait_for_timeout(300)  # the arrow lights up
    mouse.down()
    for step in range(1, 9):
        mouse.move(x + by[0] * step / 8, y + by[1] * step / 8)
        visit.page.wait_for_timeout(40)
    mouse.up()


def test_a_face_is_dragged_and_what_is_outside_goes(visit, keep_picture):
    crop, scene = visit.handle.crop, visit.handle.scene
    visit.page.wait_for_timeout(500)
    keep_picture("viewer_crop_arrows", visit.page.screenshot())
    low, high = crop.ranges[0].value
    position = visit.camera.position.copy()
    foot = Grip(0, 1).place(crop.box)
    per_unit = (pixel_of(visit, foot + np.array([0.1, 0, 0])) - pixel_of(visit, foot))[0] / 0.1
    drag(visit, Grip(0, 1), (-0.55 * (high - low) * per_unit, 0.0), (1.0, 0.0))
    wait_for(lambda: crop.ranges[0].value[1] < high - 0.4 * (high - low), "the number to follow")
    wait_for(lambda: not mask_of(visit.picture(), "green").any(), "the right blob to go")
    assert crop.ranges[0].value[0] == low and crop.ranges[0].value[1] == pytest.approx(
        high - 0.55 * (high - low), abs=0.08 * (high - low)
    ), "the face went where the mouse went"
    wait_for(
        lambda: f"X {low:.2f} to {crop.ranges[0].value[1]:.2f}" in visit.page.inner_text("body"), "the numbers in words"
    )
    box = visit.handle.session.state.box
    assert box == crop.box and mask_of(visit.picture(), "red").any()
    assert np.allclose(visit.camera.position, position), "the eye stayed"
    assert np.isfinite(scene.centres).all()
    keep_picture("viewer_crop_dragged", visit.page.screenshot())


def test_a_corner_moves_the_whole_box_as_far_as_the_numbers_go(visit):
    crop = visit.handle.crop
    low, high = crop.ranges[1].value
    crop.ranges[1].value = (low, round((low + high) / 2, 2))
    wait_for(lambda: not mask_of(visit.picture(), "blue").any(), "the lower blob to go")
    # The arrow of y points down in the first photo's view.
    drag(visit, crop.grips[0], (0.0, 400.0), (0.0, 1.0))
    wait_for(lambda: crop.ranges[1].value[1] == pytest.approx(high), "the box to stop at the end")
    assert crop.ranges[1].value[0] == pytest.approx(high - (round((low + high) / 2, 2) - low), abs=0.011)
    wait_for(lambda: mask_of(visit.picture(), "blue").any(), "the lower blob to come")
    wait_for(lambda: not mask_of(visit.picture(), "green").any(), "the upper blobs to go")
    wait_for(
        lambda: np.allclose(crop._box._arrows[crop.grips[0]].position, crop.grips[0].place(crop.box)),
        "the arrow to stand at its corner again",
    )


def test_numbers_move_the_arrows_and_arrows_can_be_hidden(visit):
    crop = visit.handle.crop
    low, high = crop.ranges[0].value
    crop.ranges[0].value = (low, round(low + 0.3 * (high - low), 2))
    arrow = crop._box._arrows[Grip(0, 1)]
    assert np.allclose(arrow.position, Grip(0, 1).place(crop.box))
    visit.page.wait_for_timeout(500)
    with_arrows = visit.picture()
    visit.toggle("Arrows")
    wait_for(lambda: not crop._box._arrows, "the arrows to go")
    wait_for(lambda: (visit.picture() != with_arrows).any(-1).sum() > 300, "the arrows to go from the picture")
    assert visit.handle.session.state.box == crop.box, "the crop stays"
    visit.toggle("Arrows")
    wait_for(lambda: len(crop._box._arrows) == 7, "the arrows to come back")
