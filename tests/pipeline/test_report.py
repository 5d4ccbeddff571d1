"""The report: complete in itself, small, escaped, and right about where the cameras stand."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.photo_check import PhotoCheck
from sparse3d.core.upright import scene_up
from sparse3d.pipeline.report import render_report, write_report
from sparse3d.pipeline.report_content import ReportContent, ReportView
from sparse3d.pipeline.report_curves import draw_curve, nice_ticks
from sparse3d.pipeline.report_layout import draw_layout
from sparse3d.pipeline.report_pictures import encode_pictures, error_map
from sparse3d.pipeline.report_text import describe_number, describe_seconds, flatten, hide_paths, spell_key

MAX_REPORT_BYTES = 10_000_000


def make_cameras(count: int = 4) -> Cameras:
    """Cameras on an arc, level, tilted down, in a world whose y axis points down."""
    poses = []
    for angle in np.linspace(-0.4, 0.4, count):
        tilt = se3.so3_exp(torch.tensor([-0.3, 0.0, 0.0], dtype=torch.float64))
        turn = se3.so3_exp(torch.tensor([0.0, angle, 0.0], dtype=torch.float64))
        poses.append(se3.compose(tilt @ turn, torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64)))
    intrinsics = torch.stack([intrinsics_matrix(700.0, 700.0, 320.0, 240.0)] * count)
    names = [f"img_{i}.jpg" for i in range(count)]
    return Cameras.build(torch.stack(poses), intrinsics, [(640, 480)] * count, names=names)


def make_content(count: int = 3, size: tuple[int, int] = (120, 160), **changes) -> ReportContent:
    """A report with everything in it, of noise, which compresses worst."""
    rng = np.random.default_rng(0)
    shown = []
    for i in range(count):
        photo = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        rendering = rng.random((*size, 3), dtype=np.float32)
        shown.append(
            ReportView(
                name=f"img_{i}.jpg",
                photo=photo,
                rendering=rendering,
                error=error_map(photo, rendering),
                depth=rng.integers(0, 256, (*size, 3), dtype=np.uint8),
                confidence=rng.random(size, dtype=np.float32),
                psnr=21.5,
                ssim=0.75,
            )
        )
    values = {
        "title": "courtyard",
        "verdict": ("All photos were placed.", "New views near the photos look like them."),
        "views": tuple(shown),
        "unplaced": (("blurred.jpg", "too few matches"),),
        "history": tuple({"iteration": 10.0 * i, "loss": 1 / (1 + i), "psnr": 15.0 + i} for i in range(20)),
        "cameras": make_cameras(count),
        "points": rng.normal(0, 1, (4000, 3)),
        "metrics": {"psnr": 21.5, "held_out": {"psnr": None}, "protocol": "fit to the photos", "views": {"x": {}}},
        "timings_s": {"cameras": 3.25, "optimise": 125.0},
        "warnings": ("Little overlap between img_1.jpg and the rest.",),
        "settings": {"optim": {"iterations": 2000, "rates": [0.1, 0.2]}, "seed": 0},
        "versions": {"sparse3d": "0.1.0"},
        "command": "sparse3d reconstruct photos --out run",
    }
    return ReportContent(**{**values, **changes})


class Sources(HTMLParser):
    """Collects every attribute by which a page loads or links something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [
            (name, value or "") for name, value in attrs if name in ("src", "href", "srcset", "data", "action")
        ]


def test_report_needs_no_other_file_and_no_network(tmp_path: Path):
    path = tmp_path / "report.html"
    write_report(path, make_content())
    page = path.read_text(encoding="utf-8")
    sources = Sources()
    sources.feed(page)
    assert len(sources.found) == 15
    assert all(value.startswith("data:image/jpeg;base64,") for _, value in sources.found)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", page))
    assert "link" not in sources.tags and "iframe" not in sources.tags
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"], "nothing half written is left"


def test_verdict_stands_first_and_everything_is_told():
    page = render_report(make_content())
    assert page.index("All photos were placed.") < page.index("<h2>")
    for words in ("too few matches", "21.50", "not measured", "2 min 5 s", "optim.iterations", "0.1.0", "<svg"):
        assert words in page


def photo_rows(page: str) -> dict[str, list[str]]:
    """The cells that follow each photo's name in the table of photos."""
    rows = (re.findall(r"<td[^>]*>(.*?)</td>", row) for row in page.split("<tr>"))
    return {row[1]: row[2:] for row in rows if len(row) > 3}


def test_how_each_photo_fits_the_others_stands_in_the_table():
    checks = (
        PhotoCheck("img_0.jpg", "fits", 0.82),
        PhotoCheck("img_1.jpg", "placed anew", 0.04, 15.0, 0.001),
        PhotoCheck("img_2.jpg", "not told"),
        PhotoCheck("blurred.jpg", "left out", -0.02),
    )
    page = render_report(make_content(checks=checks))
    rows = {name: cells[:2] for name, cells in photo_rows(page).items()}
    assert rows["img_0.jpg"] == ["placed", "82 %"] and rows["img_1.jpg"] == ["placed anew", "4 %"]
    assert rows["img_2.jpg"] == ["placed", "not told"] and rows["blurred.jpg"] == ["left out", "0 %"]
    assert "fits the others" not in render_report(make_content())


def test_how_much_depth_is_sure_stands_in_the_table_and_not_among_the_figures():
    content = make_content(metrics={"psnr": 21.5, "confident_pixels": {"img_0.jpg": 0.9122}})
    told = dataclasses.replace(content.views[0], sure=0.9122)
    page = render_report(dataclasses.replace(content, views=(told, *content.views[1:])))
    rows = photo_rows(page)
    assert rows["img_0.jpg"] == ["placed", "91 %", "21.50", "0.7500"]
    assert rows["img_1.jpg"] == ["placed", "", "21.50", "0.7500"]
    assert rows["blurred.jpg"] == ["left out", "", "", ""]
    assert "0.9122" not in page
    assert "sure depth" not in render_report(make_content())


def test_special_characters_are_escaped():
    nasty = "<script>alert('&')</script> \"{{body}}\""
    content = make_content(
        title=nasty,
        verdict=(nasty,),
        views=(ReportView(name=nasty, photo=np.zeros((8, 8, 3), np.uint8), warnings=(nasty,)),),
        unplaced=((nasty, nasty),),
        warnings=(nasty,),
        metrics={nasty: nasty},
        timings_s={nasty: 1.0},
        settings={nasty: nasty},
        versions={nasty: nasty},
        command=nasty,
    )
    page = render_report(content)
    assert page.count("<script>") == 1 and "alert('" not in page
    sources = Sources()
    sources.feed(page)
    assert sources.tags.count("script") == 1 and sources.tags.count("img") == 3  # one photo, two empty ones to compare


def test_size_is_bounded_for_many_large_photos_of_noise():
    page = render_report(make_content(24, (480, 640)))
    assert len(page.encode()) < MAX_REPORT_BYTES
    assert page.count("data:image/jpeg") == 120


def test_report_of_next_to_nothing_is_still_a_page():
    page = render_report(ReportContent("empty", ("No photo could be placed.",)))
    assert "No photo could be placed." in page and "<h2>" not in page


def test_no_folder_of_the_user_is_in_the_report():
    page = render_report(
        make_content(
            warnings=("/home/jane/secret/photos/a.jpg is dark",),
            command="sparse3d reconstruct /home/jane/secret/photos --out C:\\Users\\jane\\run",
            settings={"known": "/home/jane/secret/cameras.json"},
        )
    )
    assert "jane" not in page and "secret" not in page
    assert "a.jpg is dark" in page and "reconstruct photos --out run" in page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b/c.jpg: bad", "c.jpg: bad"),
        ("~/x/y", "y"),
        ("3/4 and scenes/courtyard/images", "3/4 and scenes/courtyard/images"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("'/tmp/x y'", "'x y'"),
    ],
)
def test_paths_are_reduced_to_their_last_part(text, expected):
    assert hide_paths(text) == expected


def test_home_folder_with_a_space_is_hidden(monkeypatch):
    monkeypatch.setenv("HOME", "/home/Jane Doe")
    monkeypatch.setenv("USERPROFILE", "/home/Jane Doe")
    assert hide_paths("/home/Jane Doe/photos/a.jpg") == "a.jpg"


def test_numbers_and_keys_in_words():
    assert [describe_number(x) for x in (None, float("nan"), 21.456, 0.81234, 3, True, 1e-7, "x")] == [
        "not measured", "not measured", "21.46", "0.8123", "3", "True", "1e-07", "x",
    ]  # fmt: skip
    assert [describe_seconds(s) for s in (0.44, 12.3, 200.0, 7500.0)] == ["0.4 s", "12 s", "3 min 20 s", "2 h 5 min"]
    assert spell_key("held_out psnr_db") == "held out PSNR (dB)"
    assert flatten({"a": {"b": {"c": 1}}, "d": [1, 2], "e": [[1]]}) == [("d", "1, 2")]
    assert flatten({"a": {"b": {"c": 1}}}, depth=8, separator=".") == [("a.b.c", "1")]


def test_error_map_is_black_where_equal_and_bright_where_not():
    photo = np.zeros((4, 6, 3), np.uint8)
    rendering = np.zeros((4, 6, 3), np.float32)
    rendering[:, 3:] = 1.0
    error = error_map(photo, rendering).astype(int)
    assert error[:, :3].max() < 10 and error[:, 3:, 0].min() > 200
    with pytest.raises(ValueError, match="shape"):
        error_map(photo, rendering[:2])


def test_pictures_shrink_to_their_budget():
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    assert len("".join(encode_pictures([noise] * 4, budget=200_000))) < 200_000 * 4 / 3 + 200


def test_up_is_against_y_for_cameras_tilted_down_in_a_world_with_y_down():
    assert np.allclose(scene_up(make_cameras()), [0, -1, 0], atol=0.05)
    rotated = make_cameras()
    turn = se3.compose(
        se3.so3_exp(torch.tensor([1.2, 0.3, -0.7], dtype=torch.float64)), torch.zeros(3, dtype=torch.float64)
    )
    rotated = rotated.replace(cam_from_world=rotated.cam_from_world @ se3.invert(turn))
    expected = turn[:3, :3].numpy() @ scene_up(make_cameras())
    assert np.allclose(scene_up(rotated), expected)
    assert np.allclose(scene_up(make_cameras(1).select([])), [0, -1, 0])


def test_layout_draws_every_placed_camera_in_order_from_left_to_right():
    cameras = make_cameras()
    cam_from_world = cameras.cam_from_world.clone()
    cam_from_world[3] = torch.nan
    above, side = draw_layout(cameras.replace(cam_from_world=cam_from_world), np.full((5, 3), np.nan))
    assert above.count('class="camera"') == side.count('class="camera"') == 3
    tips = [float(x) for x in re.findall(r'class="camera" d="M([\d.]+)', above)]
    centres = cameras.centres[:3, 0].tolist()  # in this world x points right for someone behind the cameras
    assert np.argsort(tips).tolist() == np.argsort(centres).tolist()
    nobody = cameras.replace(cam_from_world=torch.full_like(cam_from_world, torch.nan))
    assert draw_layout(nobody, None) == ("", "")


def test_curves_skip_what_is_not_finite_and_say_nothing_of_one_sample():
    history = [{"iteration": float(i), "loss": float("nan") if i == 2 else 1.0 / (i + 1)} for i in range(5)]
    curve = draw_curve(history, "loss", "loss")
    points = re.findall(r'points="([^"]*)"', curve)[0].split()
    assert len(points) == 4 and "nan" not in curve
    assert draw_curve(history[:1], "loss", "loss") == "" and draw_curve(history, "psnr", "PSNR") == ""
    assert nice_ticks(0.0, 1.0) == pytest.approx([0, 0.5, 1.0]) or len(nice_ticks(0.0, 1.0)) <= 6
    assert draw_curve([{"iteration": 0.0, "loss": 1.0}, {"iteration": 5.0, "loss": 1.0}], "loss", "loss")
