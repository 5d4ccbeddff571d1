"""Measuring, crop, films and downloads, each used as a visitor uses it."""

import io
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sparse3d.io.ply import read_gaussians_ply

from .pages import blobs_are_placed, mask_of, place_of, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _tools_tab(visit):
    visit.tab("Tools")
    visit.look_through("first.jpg")
    # An earlier download is told of over the scene, where a blob is.
    wait_for(lambda: visit.page.get_by_role("alert").count() == 0, "earlier notifications to leave")
    wait_for(lambda: blobs_are_placed(visit, 0), "the first photo's view")


def download(visit, label: str) -> tuple[str, bytes]:
    """Click a button and take the file that it gives."""
    with visit.page.expect_download() as waiting:
        visit.press(label)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_distance_by_two_clicks_and_a_known_length(visit, keep_picture):
    visit.toggle("Measure by two clicks")
    wait_for(lambda: visit.handle.measure.active.value, "measuring to be on")
    picture = visit.picture()
    for colour in ("red", "green"):
        count = len(visit.handle.measure.points)
        visit.page.mouse.click(*place_of(picture, colour))
        wait_for(lambda count=count: len(visit.handle.measure.points) == count + 1, "the click to be taken")
    assert visit.handle.measure.length == pytest.approx(1.6, abs=0.12), "the blobs' centres are 1.6 apart"
    wait_for(lambda: "scene units" in visit.page.inner_text("body"), "the length on the page")
    keep_picture("viewer_measure", visit.page.screenshot())
    known = visit.page.locator("input[inputmode=decimal]:visible").first
    known.fill("3.2")
    wait_for(lambda: visit.handle.measure.known.value == pytest.approx(3.2), "the known length")
    visit.press("This is the known length")
    wait_for(lambda: "3.2 m" in visit.page.inner_text("body"), "the length in metres")
    picture = visit.picture()
    for colour in ("red", "blue"):
        count = len(visit.handle.measure.points) % 2
        visit.page.mouse.click(*place_of(picture, colour))
        wait_for(lambda count=count: len(visit.handle.measure.points) == count + 1, "the click to be taken")
    assert visit.handle.measure.length * visit.handle.measure.unit_per_scene == pytest.approx(2.4, abs=0.25)
    visit.toggle("Measure by two clicks")
    wait_for(lambda: not visit.handle.measure.points, "measuring to end")


def test_crop_hides_what_is_outside_and_the_export_leaves_it_out(visit, tmp_path, keep_picture):
    crop = visit.handle.crop
    visit.page.get_by_role("checkbox", name="Crop", exact=True).click()
    wait_for(lambda: visit.handle.session.state.box is not None, "the crop to be on")
    low, high = crop.ranges[0].value
    crop.ranges[0].value = (low, (low + high) / 2)  # the left half
    wait_for(lambda: not mask_of(visit.picture(), "green").any(), "the right blob to go")
    assert mask_of(visit.picture(), "red").any()
    keep_picture("viewer_crop", visit.page.screenshot())
    visit.tab("Export")
    name, content = download(visit, "Download")
    assert name == "gaussians.ply"
    (tmp_path / name).write_bytes(content)
    kept = read_gaussians_ply(tmp_path / name)
    assert 1000 < len(kept) <= 1200 and float(kept.means[:, 0].max()) < 0.3
    visit.tab("Tools")
    visit.page.get_by_role("checkbox", name="Crop", exact=True).click()
    wait_for(lambda: blobs_are_placed(visit, 0), "everything to come back")
    crop.ranges[0].value = (low, high)


def test_cameras_are_downloaded(visit, tmp_path):
    visit.tab("Export")
    visit.choose(0, "Cameras (cameras.json)")
    name, content = download(visit, "Download")
    assert name == "cameras.json" and len(json.loads(content)["cameras"]) == 2
    visit.choose(0, "Cameras (COLMAP, zip)")
    name, content = download(visit, "Download")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {"cameras.bin", "images.bin", "points3D.bin"} <= set(archive.namelist())
    assert name == "colmap.zip"


def test_the_mesh_and_a_page_of_its_own_are_downloaded(visit, tmp_path, run_folders):
    visit.tab("Export")
    visit.choose(0, "Mesh (PLY)")
    name, content = download(visit, "Download")
    assert name == "mesh.ply" and content == (run_folders[0] / "mesh.ply").read_bytes()
    visit.choose(0, "One page (HTML)")
    name, content = download(visit, "Download")
    assert name == "known.html" and content.startswith(b"<!doctype html>") and b"<title>known</title>" in content


def test_screenshot_shows_what_is_seen(visit):
    visit.tab("Export")
    seen = visit.picture()
    name, content = download(visit, "Screenshot")
    taken = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert name == "screenshot.png" and taken.shape == seen.shape
    for colour in ("red", "green", "blue"):
        assert np.linalg.norm(place_of(taken, colour) - place_of(seen, colour)) < 3


def test_a_path_of_two_key_frames_becomes_a_film_that_a_browser_plays(visit, browser, tmp_path, keep_picture):
    film = visit.handle.film
    visit.press("Add key frame")
    wait_for(lambda: len(film.keyframes) == 1, "the first key frame")
    visit.look_through("second.jpg")
    wait_for(lambda: blobs_are_placed(visit, 1), "the second photo's view")
    visit.press("Add key frame")
    wait_for(lambda: len(film.keyframes) == 2, "the second key frame")
    film.seconds.value = 1.0
    name, content = download(visit, "Render film")
    (tmp_path / name).write_bytes(content)
    reader = cv2.VideoCapture(str(tmp_path / name))
    frames = []
    while (read := reader.read())[0]:
        frames.append(read[1][..., ::-1].astype(int))
    assert len(frames) == 24
    place = [place_of(frame, "red") for frame in (frames[0], frames[-1])]
    assert np.linalg.norm(place[0] - place[1]) > 20, "the camera moves"
    assert np.linalg.norm(place[0] - place_of(frames[1], "red")) < np.linalg.norm(place[0] - place[1])
    page = browser.new_page()
    page.goto((tmp_path / name).as_uri())
    wait_for(lambda: page.evaluate("document.querySelector('video').readyState") >= 2, "the browser to play it")
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(1.0, abs=0.1)
    page.close()
    visit.press("Clear path")
    wait_for(lambda: not film.keyframes, "the path to go")


def test_walking_turns_the_head_and_orbiting_goes_around(visit):
    visit.press("Walk")
    wait_for(lambda: np.linalg.norm(visit.camera.look_at - visit.camera.position) < 0.1, "the eye to turn about itself")
    visit.press("Orbit")
    wait_for(lambda: np.linalg.norm(visit.camera.look_at - visit.camera.position) > 1, "the eye to go around the scene")
