"""The viewer's scene tab in a real browser: what a visitor sees, and what photos, nodes and runs do to it."""

import numpy as np
import pytest

from .pages import PHOTO, RUN, WINDOW, blobs_are_placed, mask_of, place_of, share_of, stands_at, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _scene_tab(visit):
    visit.tab("Scene")


def test_first_view_is_the_first_photo_upright_and_not_mirrored(visit, keep_picture):
    wait_for(lambda: blobs_are_placed(visit, 0), "the blobs to show at their places")
    keep_picture("viewer_first", visit.page.screenshot())
    assert stands_at(visit.camera, visit.handle.scene.viewpoints[0])


def test_looking_through_the_second_photo_moves_the_camera_and_the_picture(visit, keep_picture):
    visit.choose(PHOTO, "second.jpg")
    start, expected = visit.handle.scene.viewpoints
    visit.press("Look through")
    way = []
    for _ in range(50):
        way.append(visit.camera.position.copy())
        visit.page.wait_for_timeout(20)
    off = [[float(np.linalg.norm(place - end.position)) for end in (start, expected)] for place in way]
    assert any(min(both) > 0.3 for both in off), "the eye flies: it is seen on the way"
    wait_for(lambda: stands_at(visit.camera, expected), "the camera to move and turn")
    wait_for(lambda: blobs_are_placed(visit, 1), "the blobs to show at their places in the second photo")
    keep_picture("viewer_second", visit.page.screenshot())


def test_the_photo_stays_whole_when_the_window_becomes_narrow(visit):
    visit.look_through("second.jpg")
    visit.page.set_viewport_size({"width": 700, "height": WINDOW["height"]})
    try:
        wait_for(lambda: blobs_are_placed(visit, 1), "the photo to fit a narrower window")
    finally:
        visit.page.set_viewport_size(WINDOW)
    wait_for(lambda: blobs_are_placed(visit, 1), "the photo to fit the window again")


def test_cameras_are_clicked_and_hidden(visit, keep_picture):
    visit.step_back()
    wait_for(lambda: mask_of(visit.picture(), "magenta").sum() > 100, "the first photo to show at its camera")
    visit.toggle("Cameras")
    wait_for(lambda: mask_of(visit.picture(), "magenta").sum() == 0, "the cameras to go")
    visit.toggle("Cameras")
    wait_for(lambda: mask_of(visit.picture(), "magenta").sum() > 100, "the cameras to come back")
    keep_picture("viewer_cameras", visit.page.screenshot())
    x, y = place_of(visit.picture(), "magenta")
    visit.page.mouse.click(x, y)
    expected = visit.handle.scene.viewpoints[0]
    wait_for(lambda: stands_at(visit.camera, expected), "the click to move the camera")
    assert visit.handle.panel.photo.value == "first.jpg"
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")


def test_splats_and_points_can_be_switched(visit):
    visit.look_through("first.jpg")
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")
    visit.toggle("Splats")
    wait_for(lambda: np.isnan(place_of(visit.picture(), "red")).all(), "the splats to go")
    dark_before = (visit.picture().max(-1) < 60).sum()
    visit.toggle("Sparse points")
    wait_for(lambda: (visit.picture().max(-1) < 60).sum() > dark_before + 100, "the sparse points to show")
    ys, xs = np.nonzero(visit.picture().max(-1) < 60)
    height, width = visit.picture().shape[:2]
    assert xs.mean() > 0.6 * width and ys.mean() > 0.6 * height, "they lie bottom right, where no blob is"
    visit.toggle("Sparse points")
    visit.toggle("Splats")
    wait_for(lambda: blobs_are_placed(visit, 0), "the splats to come back")


def test_sliders_change_the_splats(visit):
    visit.look_through("first.jpg")
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")
    full = mask_of(visit.picture(), "red").sum()
    size, opacity = (visit.page.locator("input[inputmode=decimal]:visible").nth(i) for i in range(2))
    size.fill("0.3")  # typed, since the arrow keys that move a slider move the camera too
    wait_for(lambda: mask_of(visit.picture(), "red").sum() < 0.8 * full, "smaller splats to cover less")
    assert visit.handle.panel.splat_size.value == pytest.approx(0.3)
    size.fill("1")
    wait_for(lambda: mask_of(visit.picture(), "red").sum() > 0.95 * full, "the splats to grow back")
    opacity.fill("0.9")
    wait_for(lambda: not mask_of(visit.picture(), "red").any(), "splats of opacity 0.8 to go")
    opacity.fill("0")
    wait_for(lambda: mask_of(visit.picture(), "red").sum() > 0.95 * full, "the splats to come back")


def test_depth_surface_and_mesh_stand_where_they_belong(visit, keep_picture):
    visit.look_through("first.jpg")
    visit.toggle("Splats")
    wait_for(lambda: share_of(visit, "red") < 1e-3, "the splats to go")
    visit.toggle("Mesh")
    wait_for(lambda: share_of(visit, "cyan") > 0, "the mesh to show")
    picture = visit.picture()
    shown = np.isin(np.arange(picture.shape[1]), np.nonzero(mask_of(picture, "cyan").any(0))[0]).sum()
    expected = 0.4 / 3 * 700 * min(picture.shape[0] / 480, picture.shape[1] / 640)
    assert shown == pytest.approx(expected, abs=6), "a square 0.4 wide, 3 away"
    assert np.abs(place_of(picture, "cyan") - np.array(picture.shape[1::-1]) / 2).max() < 4
    visit.toggle("Depth surface")
    wait_for(
        lambda: share_of(visit, "magenta") > 0.4, "the wall in the photo's colour to fill the view around the mesh"
    )
    assert share_of(visit, "cyan") > 0, "the mesh stands before the wall"
    keep_picture("viewer_surface", visit.page.screenshot())
    visit.toggle("Depth surface")
    visit.toggle("Mesh")
    visit.toggle("Splats")
    wait_for(lambda: blobs_are_placed(visit, 0), "the splats to come back alone")
    assert share_of(visit, "magenta") == share_of(visit, "cyan") == 0


def test_another_run_is_seen_from_the_same_place(visit, keep_picture):
    visit.look_through("first.jpg")
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")
    before = visit.picture()
    position = visit.camera.position.copy()
    visit.press("Next run")
    wait_for(lambda: not mask_of(visit.picture(), "green").any(), "the second run, which has no green blob")
    after = visit.picture()
    assert np.allclose(visit.camera.position, position)
    for colour in ("red", "blue"):
        assert np.linalg.norm(place_of(after, colour) - place_of(before, colour)) < 2, f"{colour}: worlds are aligned"
    assert "1,200 Gaussians" in visit.page.inner_text("body")
    keep_picture("viewer_other_run", visit.page.screenshot())
    visit.choose(RUN, "known")
    wait_for(lambda: blobs_are_placed(visit, 0), "the first run again")


def test_the_page_keeps_to_itself(visit, keep_picture):
    visit.tab("Quality")
    wait_for(lambda: "24.31" in visit.page.inner_text("body"), "the quality to show")
    keep_picture("viewer_quality", visit.page.screenshot())
    text = visit.page.inner_text("body")
    assert "blurred.jpg is blurred & <b>dark</b>" in text, "warnings are shown as they are written"
    assert "third.jpg" in text
    for tab in ("Scene", "Tools", "Export", "Quality"):
        visit.tab(tab)
        content = visit.page.content()
        assert "/home/somebody" not in content and "/tmp/" not in content
        assert visit.page.locator("input[type=file]").count() == 0
    outside = [url for url in visit.requests if not url.startswith((visit.handle.url, "blob:", "data:"))]
    assert not outside
