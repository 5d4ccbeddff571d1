"""An open page and the server behind it, as the tests see it: by pixels and by the server's state."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from sparse3d.core import se3
from sparse3d.core.reconstruction import Reconstruction

from .run_folders import BLOBS

TIMEOUT_S = 60.0
RUN, BESIDE, PHOTO, COMPARISON, LAYER = range(5)
"""Places of the dropdowns in the first tab of a page with several runs."""

WINDOW = {"width": 900, "height": 560}

PLACE_TOLERANCE_PX = 8.0
"""For the centre of a blob 150 pixels wide made of random Gaussians."""

HUES = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "magenta": (1, 0, 1),
    "yellow": (1, 1, 0),
    "cyan": (0, 1, 1),
}


@dataclass
class Visit:
    """An open page and the server behind it."""

    page: object
    handle: object
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

    def tab(self, name: str) -> None:
        """Open a tab of the panel."""
        self.page.get_by_role("tab", name=name).click()

    def toggle(self, label: str) -> None:
        """Click a checkbox of the panel."""
        self.page.get_by_role("checkbox", name=label, exact=True).click()

    def press(self, label: str) -> None:
        """Click a button of the panel."""
        self.page.get_by_role("button", name=label).first.click()

    def choose(self, place: int, option: str) -> None:
        """Choose from the dropdown at a place among those of the open tab."""
        self.page.locator("input[role=combobox]:visible").nth(place).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def look_through(self, name: str) -> None:
        """Stand at a photo's place."""
        self.handle.look_through(self.camera.client, name)

    def step_back(self) -> None:
        """Stand four units behind and one above the first photo's camera, looking the same way."""
        first, camera = self.handle.scene.viewpoints[0], self.camera
        with camera.client.atomic():
            camera.up_direction = first.up
            camera.position = first.position - 4 * first.rotation[:, 2] + 1.0 * first.up
            camera.look_at = first.target


@contextmanager
def open_page(browser, handle, scene: Reconstruction) -> Iterator[Visit]:
    """The page of a viewer in a new tab; page and viewer end with the block."""
    page = browser.new_page(viewport=WINDOW)
    page.set_default_timeout(1000 * TIMEOUT_S)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    try:
        page.goto(handle.url)
        wait_for(lambda: bool(handle.visitors()), "the page to connect")
        page.get_by_role("alert").get_by_role("button").first.click()  # "Software WebGL rendering detected"
        yield Visit(page, handle, scene, requests)
    finally:
        page.close()
        handle.stop()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until a condition holds, or fail."""
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, f"waited {TIMEOUT_S:.0f} s in vain for {what}"
        time.sleep(0.1)


def mask_of(picture: np.ndarray, colour: str) -> np.ndarray:
    """Pixels that are mostly of a colour."""
    wanted = HUES[colour]
    channels = [picture[..., i] > 150 if on else picture[..., i] < 90 for i, on in enumerate(wanted)]
    return channels[0] & channels[1] & channels[2]


def share_of(visit: Visit, colour: str) -> float:
    """Share of the scene's part of the window that is mostly of a colour."""
    return float(mask_of(visit.picture(), colour).mean())


def place_of(picture: np.ndarray, colour: str) -> np.ndarray:
    """Centre (x, y) of a blob in the picture; NaN where it does not show."""
    ys, xs = np.nonzero(mask_of(picture, colour))
    return np.array([np.median(xs), np.median(ys)]) + 0.5 if len(xs) > 200 else np.full(2, np.nan)


def expected_place(scene: Reconstruction, view: int, colour: str, picture: np.ndarray) -> np.ndarray:
    """Where a blob belongs: projected into the photo, which fills the window's narrower side."""
    cameras = scene.cameras
    centre = torch.tensor([BLOBS[colour][0]], dtype=torch.float64)
    point_cam = se3.transform_points(cameras.cam_from_world[view], centre)[0]
    in_photo = (cameras.K[view] @ point_cam)[:2] / point_cam[2]
    size = np.array(cameras.sizes[view])
    window = np.array(picture.shape[1::-1])
    return window / 2 + (in_photo.numpy() - size / 2) * (window / size).min()


def blobs_are_placed(visit: Visit, view: int) -> bool:
    """Whether the three blobs show where they belong in the view of a photo."""
    picture = visit.picture()
    for colour in BLOBS:
        off = np.linalg.norm(place_of(picture, colour) - expected_place(visit.scene, view, colour, picture))
        if not off <= PLACE_TOLERANCE_PX:
            return False
    return True


def stands_at(camera, viewpoint) -> bool:
    """Whether the server believes a visitor to stand where a photo was taken, looking the same way."""
    near = np.allclose(camera.position, viewpoint.position, atol=1e-3)
    return near and abs(camera.wxyz @ viewpoint.wxyz) > 0.999999
