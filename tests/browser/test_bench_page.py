"""The bench's page in a real browser: it fits a phone, loads nothing, and its slider compares photo and rendering."""

import numpy as np
import pytest

from sparse3d.bench.page import write_page
from sparse3d.io.image_files import write_jpeg

from ..bench.records import failure, record

pytestmark = pytest.mark.browser


@pytest.fixture
def page_file(tmp_path):
    methods = ("ours", "ours without depth", "theirs")
    found = []
    for number, method in enumerate(methods):
        for views in (3, 6):
            name = f"{method}-{views}.jpg"
            shown = [{"name": "a.jpg", "truth": "truth.jpg", "rendering": name}]
            write_jpeg(tmp_path / "pictures" / name, np.full((60, 80, 3), 60 + 60 * number, np.uint8))
            found += [record(method, seed=i, psnr=18 + number + i, views=views, pictures=shown) for i in (0, 1)]
    write_jpeg(tmp_path / "pictures" / "truth.jpg", np.full((60, 80, 3), 230, np.uint8))
    found.append(failure("theirs", "horns", reason="a reason of many words " * 8))
    write_page(tmp_path / "index.html", "llff", found, methods, (), pictures=tmp_path / "pictures")
    return tmp_path / "index.html"


@pytest.mark.parametrize("width", [360, 1200])
def test_page_fits_the_window_and_loads_nothing(browser, page_file, keep_picture, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(page_file.as_uri(), timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    pictures = "[...document.querySelectorAll('.strip img')]"
    assert page.evaluate(f"{pictures}.length") == 8
    assert page.evaluate(f"{pictures}.every(picture => picture.complete && picture.naturalWidth > 0)")
    assert page.evaluate("document.querySelectorAll('figure.plot svg').length") == 5
    colours = "new Set([...document.querySelectorAll('figure.plot .curve')].map(x => getComputedStyle(x).stroke)).size"
    assert page.evaluate(colours) == 3
    assert [url for url in requests if not url.startswith("data:")] == [page_file.as_uri()]
    assert not complaints
    page.locator("img.pair").first.click()
    assert page.locator("dialog").is_visible()
    page.get_by_role("button", name="Close").click()
    keep_picture(f"bench_{width}", page.screenshot(full_page=True))
    page.close()
