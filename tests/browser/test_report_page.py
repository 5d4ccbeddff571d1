"""The report in a real browser: it fits a phone, loads nothing, and its slider compares a photo with its rendering."""

from pathlib import Path

import numpy as np
import pytest

from sparse3d.pipeline.report import write_report
from sparse3d.pipeline.report_content import ReportContent, ReportView
from sparse3d.pipeline.report_pictures import error_map

pytestmark = pytest.mark.browser


@pytest.fixture
def report(tmp_path: Path, known_scene) -> Path:
    photo, rendering = np.full((60, 80, 3), 200, np.uint8), np.full((60, 80, 3), 90, np.uint8)
    content = ReportContent(
        title="a_run_with_a_rather_long_name_that_has_no_place_to_break_" * 2,
        verdict=("Both photos were placed.",),
        views=tuple(ReportView(n, photo, rendering, error_map(photo, rendering)) for n in ("first.jpg", "second.jpg")),
        cameras=known_scene().cameras,
        history=tuple({"iteration": 10.0 * i, "loss": 1 / (i + 1), "psnr": 20.0 + i} for i in range(9)),
        settings={"optim": {"iterations": 100}},
        command="sparse3d reconstruct photos --out run",
    )
    write_report(tmp_path / "report.html", content)
    return tmp_path / "report.html"


@pytest.mark.parametrize("width", [360, 1200])
def test_report_fits_the_window_and_loads_nothing(browser, report, keep_picture, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(report.as_uri(), timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    pictures = "[...document.querySelectorAll('.view img')]"
    assert page.evaluate(f"{pictures}.length") == 6
    assert page.evaluate(f"{pictures}.every(picture => picture.complete && picture.naturalWidth > 0)")
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert not complaints
    keep_picture(f"report_{width}", page.screenshot(full_page=True))
    page.close()


def test_slider_compares_a_photo_with_its_rendering(browser, report):
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.goto(report.as_uri(), timeout=60_000)
    assert not page.locator("dialog").is_visible()
    page.locator("img.pair").nth(2).click()
    shown = page.locator("dialog img")
    originals = page.locator(".view").nth(1).locator("img.pair")
    assert [shown.nth(i).get_attribute("src") for i in range(2)] == [
        originals.nth(i).get_attribute("src") for i in range(2)
    ]
    page.locator("dialog input").fill("20")
    assert (
        page.evaluate("getComputedStyle(document.querySelectorAll('dialog img')[1]).clipPath")
        == "inset(0px 0px 0px 20%)"
    )
    page.get_by_role("button", name="Close").click()
    assert not page.locator("dialog").is_visible()
    page.close()
