"""Layers, comparison and background, each by what it does to the pixels."""

import numpy as np
import pytest

from .pages import COMPARISON, LAYER, blobs_are_placed, expected_place, mask_of, place_of, share_of, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _colour_before_and_after(visit):
    visit.tab("Scene")
    visit.look_through("first.jpg")
    yield
    visit.handle.panel.layer.value = "Colour"
    visit.handle.panel.comparison.value = "Off"
    wait_for(lambda: blobs_are_placed(visit, 0), "the page to be as before")


def colour_at(visit, blob: str) -> np.ndarray:
    """Mean colour in the middle of where a blob belongs."""
    picture = visit.picture()
    x, y = np.round(expected_place(visit.scene, 0, blob, picture)).astype(int)
    return picture[y - 6 : y + 7, x - 6 : x + 7].mean((0, 1))


def is_blue(colour: np.ndarray) -> bool:
    return colour[2] > 1.4 * colour[0]


def is_red(colour: np.ndarray) -> bool:
    return colour[0] > 1.4 * colour[2] and colour[0] > 100


def is_low(colour: np.ndarray) -> bool:
    """The lower end of turbo is nearly black, with a touch of violet."""
    return colour.max() < 100


def is_grey(colour: np.ndarray) -> bool:
    return np.ptp(colour) < 25


@pytest.mark.parametrize(
    ("layer", "red", "green", "blue"),
    [
        ("Confidence", is_red, is_low, is_red),
        ("Observed / filled in", is_blue, is_blue, is_red),
        ("Photos that saw it", is_red, None, is_low),
        ("Coverage", is_red, is_low, is_grey),
        ("Opacity", is_red, is_red, is_red),
    ],
)
def test_a_layer_recolours_the_splats(visit, keep_picture, layer, red, green, blue):
    visit.choose(LAYER, layer)
    checks = {blob: check for blob, check in (("red", red), ("green", green), ("blue", blue)) if check is not None}
    wait_for(lambda: all(check(colour_at(visit, blob)) for blob, check in checks.items()), f"the colours of {layer}")
    keep_picture(f"layer_{layer.split()[0]}", visit.page.screenshot())
    assert "Gaussians were observed" in visit.page.inner_text("body") or layer in visit.page.inner_text("body")


def test_error_is_large_where_the_photo_is_not_what_was_rendered(visit):
    # The photos are magenta and yellow, their renderings grey: all differ by about 0.4, beyond the scale's end.
    visit.choose(LAYER, "Error")
    wait_for(lambda: all(is_red(colour_at(visit, blob)) for blob in ("green", "blue")), "the errors' colours")
    colours = visit.handle.session.colours(0, "Error").astype(int)
    known = np.ptp(colours, axis=1) > 0  # those that stand behind others in both photos are grey
    assert known.mean() > 0.5 and (colours[known, 0] > 1.4 * colours[known, 2]).mean() > 0.99


def test_depth_and_normals_are_drawn_when_the_eye_rests(visit, keep_picture):
    visit.choose(LAYER, "Depth")
    wait_for(lambda: np.isnan(place_of(visit.picture(), "green")).all(), "the depth to lie over the splats")
    keep_picture("layer_depth", visit.page.screenshot())
    assert (visit.picture().min(-1) < 200).mean() > 0.02, "something is drawn where the blobs are"
    visit.choose(LAYER, "Normals")
    wait_for(lambda: visit.handle.visitors()[0].painted[1] == "Normals", "the normals to be painted")
    assert "red: to the right" in visit.page.inner_text("body")


def test_a_figure_is_drawn_for_each_pixel(visit, keep_picture):
    visit.choose(LAYER, "Photos in view")
    wait_for(lambda: is_low(colour_at(visit, "blue")), "the splats' own colours")
    visit.toggle("For each pixel")
    try:
        wait_for(lambda: "per pixel" in str(visit.handle.visitors()[0].painted), "the picture to be painted")
        visit.handle.session.update(splats=False)  # what shows now is the picture alone
        wait_for(lambda: is_red(colour_at(visit, "red")) and is_low(colour_at(visit, "blue")), "four photos, and none")
        middle = colour_at(visit, "green")
        assert middle[1] > middle[0] and middle[1] > middle[2], "two photos: half-way up the scale"
        text = visit.page.inner_text("body")
        assert "for each pixel" in text and "photos" in text
        keep_picture("layer_per_pixel", visit.page.screenshot())
        edge = visit.picture()
        assert tuple(edge[5, edge.shape[1] // 2]) == (255, 255, 255), "nothing is there"
        visit.look_through("second.jpg")
        wait_for(lambda: blobs_hide_nothing(visit), "the picture after the eye has moved")
    finally:
        visit.handle.session.update(splats=True)
        visit.toggle("For each pixel")
        visit.look_through("first.jpg")


def blobs_hide_nothing(visit) -> bool:
    """Whether the red blob's place in the second photo is red, as by the scale of the first photo's."""
    picture = visit.picture()
    x, y = np.round(expected_place(visit.scene, 1, "red", picture)).astype(int)
    return is_red(picture[y - 6 : y + 7, x - 6 : x + 7].mean((0, 1)))


def test_the_largest_angle_tells_its_unit(visit):
    visit.choose(LAYER, "Largest angle (degrees)")
    wait_for(lambda: "degrees between the two photos" in visit.page.inner_text("body"), "the legend")
    wait_for(lambda: is_red(colour_at(visit, "red")) and is_low(colour_at(visit, "blue")), "the angles' colours")


def test_our_rendering_lies_where_the_splats_lie_and_follows_the_eye(visit):
    visit.choose(LAYER, "Rendered colour")
    wait_for(lambda: isinstance(visit.handle.visitors()[0].painted[1], str), "the picture to be painted")
    visit.handle.session.update(splats=False)  # what shows now is the picture alone
    try:
        wait_for(lambda: blobs_are_placed(visit, 0), "the blobs in our own rendering")
        visit.look_through("second.jpg")
        wait_for(lambda: blobs_are_placed(visit, 1), "the rendering after the eye has moved")
    finally:
        visit.handle.session.update(splats=True)
        visit.look_through("first.jpg")


def test_photo_and_rendering_are_wiped(visit, keep_picture):
    visit.choose(COMPARISON, "Photo | rendering")
    wait_for(lambda: share_of(visit, "magenta") > 0.2, "the photo on one side")
    keep_picture("viewer_compare", visit.page.screenshot())
    picture = visit.picture()
    columns = np.nonzero(mask_of(picture, "magenta").mean(0) > 0.5)[0]
    assert abs(columns.max() - picture.shape[1] / 2) < 4, "the line is in the middle"
    grey = (np.ptp(picture, axis=-1) < 12) & (abs(picture.mean(-1) - 128) < 12)
    assert grey[:, picture.shape[1] // 2 + 6 :].mean() > 0.4, "the rendering is on the right"
    before = share_of(visit, "magenta")
    visit.page.locator("input[inputmode=decimal]:visible").first.fill("0.9")
    wait_for(lambda: share_of(visit, "magenta") > 1.5 * before, "the line to move")
    visit.choose(COMPARISON, "Rendering | difference")
    wait_for(lambda: share_of(visit, "magenta") == 0, "the photo to go")
    visit.handle.panel.wipe.value = 0.5


def test_background_is_what_was_chosen(visit):
    visit.handle.panel.background.value = (10, 200, 200)
    wait_for(lambda: share_of(visit, "cyan") > 0.5, "the background")
    visit.handle.panel.background.value = (255, 255, 255)
    wait_for(lambda: share_of(visit, "cyan") == 0, "the background to go")
