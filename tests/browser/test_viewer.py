"""The viewer in a real browser: what a visitor sees, and what the controls do, judged by pixels and the server's state."""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from sparse3d.core import se3
from sparse3d.core.reconstruction import Reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer import ViewerHandle, open_viewer

pytestmark = pytest.mark.browser

TIMEOUT_S = 60.0
WINDOW = {"width": 960, "height": 640}

PLACE_TOLERANCE_PX = 8.0
"""For the centre of a blob 150 pixels wide made of random Gaussians."""

BLOB_CENTRES = {"red": (-0.8, -0.6, 4.0), "green": (0.8, -0.6, 4.0), "blue": (-0.8, 0.6, 4.0)}


@dataclass
class Visit:
    """An open page and the server behind it."""

    page: object
    handle: ViewerHandle
    scene: Reconstruction
    requests: list[str]

    def picture(self) -> np.ndarray:
        """The scene's part of the window, without the panel."""
        box = self.page.locator("canvas").first.bounding_box()
        png = self.page.screenshot(clip=box)
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)

    @property
    def camera(self):
        """The visitor's camera as the server knows it."""
        return next(iter(self.handle.server.get_clients().values())).camera


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until a condition holds, or fail."""
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, f"waited {TIMEOUT_S:.0f} s in vain for {what}"
        time.sleep(0.2)


def mask_of(picture: np.ndarray, colour: str) -> np.ndarray:
    """Pixels that are mostly of a blob's colour or, for "magenta" and "yellow", of a photo's."""
    wanted = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "magenta": (1, 0, 1), "yellow": (1, 1, 0)}[
        colour
    ]
    channels = [picture[..., i] > 150 if on else picture[..., i] < 90 for i, on in enumerate(wanted)]
    return channels[0] & channels[1] & channels[2]


def place_of(picture: np.ndarray, colour: str) -> np.ndarray:
    """Centre (x, y) of a blob in the picture; NaN where it does not show."""
    ys, xs = np.nonzero(mask_of(picture, colour))
    return np.array([np.median(xs), np.median(ys)]) + 0.5 if len(xs) > 200 else np.full(2, np.nan)


def expected_place(scene: Reconstruction, view: int, colour: str, picture: np.ndarray) -> np.ndarray:
    """Where a blob belongs: projected into the photo, which fills the window's narrower side."""
    cameras = scene.cameras
    point_cam = se3.transform_points(
        cameras.cam_from_world[view], torch.tensor([BLOB_CENTRES[colour]], dtype=torch.float64)
    )[0]
    in_photo = (cameras.K[view] @ point_cam)[:2] / point_cam[2]
    size = np.array(cameras.sizes[view])
    window = np.array(picture.shape[1::-1])
    return window / 2 + (in_photo.numpy() - size / 2) * (window / size).min()


def blobs_are_placed(visit: Visit, view: int) -> bool:
    picture = visit.picture()
    for colour in BLOB_CENTRES:
        off = np.linalg.norm(place_of(picture, colour) - expected_place(visit.scene, view, colour, picture))
        if not off <= PLACE_TOLERANCE_PX:
            return False
    return True


def stands_at(camera, viewpoint) -> bool:
    """Whether the server believes a visitor to stand where a photo was taken, looking the same way."""
    near = np.allclose(camera.position, viewpoint.position, atol=1e-3)
    return near and abs(camera.wxyz @ viewpoint.wxyz) > 0.999999


@pytest.fixture(scope="module")
def visit(browser, known_scene, thumbnails) -> Iterator[Visit]:
    scene = known_scene()
    points = (
        np.array([[0.8, 0.6, 4.0]]) + 0.02 * np.mgrid[-3:4, -3:4, 0:1].reshape(3, -1).T,
        np.tile([0, 0, 0], (49, 1)),
    )
    handle = open_viewer(scene, thumbnails, points=points, title="known", metrics={"held_out": {"psnr_db": 24.31}})
    page = browser.new_page(viewport=WINDOW)
    page.set_default_timeout(1000 * TIMEOUT_S)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(handle.url)
    wait_for(lambda: bool(handle.visitors()), "the page to connect")
    notice = page.get_by_role("alert").get_by_role("button")  # "Software WebGL rendering detected"
    notice.first.click()
    yield Visit(page, handle, scene, requests)
    page.close()
    handle.stop()


def test_first_view_is_the_first_photo_upright_and_not_mirrored(visit, keep_picture):
    wait_for(lambda: blobs_are_placed(visit, 0), "the blobs to show at their places")
    keep_picture("viewer_first", visit.page.screenshot())
    assert stands_at(visit.camera, visit.handle.scene.viewpoints[0])


def test_looking_through_the_second_photo_moves_the_camera_and_the_picture(visit, keep_picture):
    visit.page.locator("input[role=combobox]:visible").click()
    visit.page.get_by_role("option", name="second.jpg").click()
    visit.page.get_by_role("button", name="Look through").click()
    expected = visit.handle.scene.viewpoints[1]
    wait_for(lambda: stands_at(visit.camera, expected), "the camera to move and turn")
    wait_for(lambda: blobs_are_placed(visit, 1), "the blobs to show at their places in the second photo")
    keep_picture("viewer_second", visit.page.screenshot())


def test_the_photo_stays_whole_when_the_window_becomes_narrow(visit):
    visit.handle.look_through(visit.camera.client, 1)
    visit.page.set_viewport_size({"width": 700, "height": 640})
    try:
        wait_for(lambda: blobs_are_placed(visit, 1), "the photo to fit a narrower window")
    finally:
        visit.page.set_viewport_size(WINDOW)
    wait_for(lambda: blobs_are_placed(visit, 1), "the photo to fit the window again")


def test_clicking_a_camera_looks_through_it(visit, keep_picture):
    step_back(visit)
    wait_for(lambda: mask_of(visit.picture(), "magenta").sum() > 100, "the first photo to show at its camera")
    keep_picture("viewer_cameras", visit.page.screenshot())
    x, y = place_of(visit.picture(), "magenta")
    visit.page.mouse.click(x, y)
    expected = visit.handle.scene.viewpoints[0]
    wait_for(lambda: stands_at(visit.camera, expected), "the click to move the camera")
    assert visit.handle.panel.photo.value == "first.jpg"
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")


def test_cameras_can_be_hidden(visit):
    step_back(visit)
    wait_for(lambda: mask_of(visit.picture(), "magenta").sum() > 100, "the first photo to show at its camera")
    toggle(visit, "Cameras")
    wait_for(lambda: mask_of(visit.picture(), "magenta").sum() == 0, "the cameras to go")
    toggle(visit, "Cameras")
    wait_for(lambda: mask_of(visit.picture(), "magenta").sum() > 100, "the cameras to come back")


def test_splats_and_points_can_be_switched(visit):
    visit.handle.look_through(visit.camera.client, 0)
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")
    toggle(visit, "Splats")
    wait_for(lambda: np.isnan(place_of(visit.picture(), "red")).all(), "the splats to go")
    dark_before = (visit.picture().max(-1) < 60).sum()
    toggle(visit, "Sparse points")
    wait_for(lambda: (visit.picture().max(-1) < 60).sum() > dark_before + 100, "the sparse points to show")
    ys, xs = np.nonzero(visit.picture().max(-1) < 60)
    height, width = visit.picture().shape[:2]
    assert xs.mean() > 0.6 * width and ys.mean() > 0.6 * height, "they lie bottom right, where no blob is"
    toggle(visit, "Sparse points")
    toggle(visit, "Splats")
    wait_for(lambda: blobs_are_placed(visit, 0), "the splats to come back")


def test_sliders_change_the_splats(visit):
    visit.handle.look_through(visit.camera.client, 0)
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


def test_the_page_keeps_to_itself(visit):
    text = visit.page.inner_text("body")
    assert "blurred.jpg is blurred & <b>dark</b>" in text, "warnings are shown as they are written"
    assert "/home/somebody" not in visit.page.content()
    assert "24.31" in text and "third.jpg" in text
    assert visit.page.locator("input[type=file]").count() == 0
    outside = [url for url in visit.requests if not url.startswith((visit.handle.url, "blob:", "data:"))]
    assert not outside


def test_a_scene_in_millimetres_looks_the_same(browser, known_scene, thumbnails):
    scene = known_scene(1000.0)
    handle = open_viewer(scene, thumbnails, title="millimetres", port=8090)
    page = browser.new_page(viewport=WINDOW)
    page.set_default_timeout(1000 * TIMEOUT_S)
    page.goto(handle.url)
    wait_for(lambda: bool(handle.visitors()), "the page to connect")
    page.get_by_role("alert").get_by_role("button").first.click()
    try:
        wait_for(lambda: blobs_are_placed(Visit(page, handle, known_scene(), []), 0), "the blobs at their places")
    finally:
        page.close()
        handle.stop()


def step_back(visit: Visit) -> None:
    """Stand five units behind and above the first photo's camera, looking the same way."""
    first, camera = visit.handle.scene.viewpoints[0], visit.camera
    with camera.client.atomic():
        camera.up_direction = first.up
        camera.position = first.position - 4 * first.rotation[:, 2] + 1.0 * first.up
        camera.look_at = first.target


def toggle(visit: Visit, label: str) -> None:
    """Click a checkbox of the panel."""
    box = visit.page.get_by_role("checkbox", name=label)
    box.click()
