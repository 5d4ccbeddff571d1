"""Means, spreads and the page that shows them."""

import re
from pathlib import Path

import numpy as np
import pytest

from sparse3d.bench.page import write_page
from sparse3d.bench.page_strips import find_strips
from sparse3d.bench.published import Published
from sparse3d.bench.summary import figure, group_records, value_of
from sparse3d.io.image_files import write_jpeg

from .records import failure, record

PSNR = "held_out.aligned.psnr"
PAPER = Published("PaperGS", "llff-8", "posed", 3, psnr=33.33, note="of another world")


def page_of(records, tmp_path: Path, methods=("ours", "theirs"), published=()) -> str:
    write_page(tmp_path / "index.html", "llff", records, methods, published, pictures=tmp_path / "pictures")
    return (tmp_path / "index.html").read_text()


def rows_of(html: str, number: int = 0) -> list[list[str]]:
    """The cells of a table of the page; tables are counted from the first one behind the provenance."""
    tables = re.findall(r"<table>.*?</table>", html, flags=re.S)[1:]
    rows = re.findall(r"<tr>(.*?)</tr>", tables[number], flags=re.S)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]


def test_mean_over_scenes_and_spread_over_seeds():
    found = [record(scene=s, seed=i, psnr=p) for s, i, p in (("a", 0, 20), ("a", 1, 22), ("b", 0, 30), ("b", 1, 34))]
    result = figure(found, lambda r: value_of(r, PSNR))
    assert result is not None
    assert (result.mean, result.count) == (26.5, 2)
    assert result.std == pytest.approx(np.std([25, 28], ddof=1))
    assert figure([failure("ours")], lambda r: value_of(r, PSNR)) is None
    alone = figure(found[:1], lambda r: value_of(r, PSNR))
    assert alone is not None and alone.std is None


def test_a_scene_without_all_seeds_does_not_pass_for_spread():
    found = [record(scene="a", seed=0, psnr=20), record(scene="a", seed=1, psnr=20), record(scene="b", seed=0, psnr=30)]
    result = figure(found, lambda r: value_of(r, PSNR))
    assert result is not None and (result.mean, result.std) == (25, 0)


def test_only_what_compares_is_put_together():
    found = [record(), record(poses="unposed"), record(views=6), record(protocol="llff-r4"), record("theirs")]
    groups = group_records(found, ("theirs", "ours"))
    assert len(groups) == 4
    assert max(groups, key=lambda g: len(g.records)).methods == ("theirs", "ours")


def test_tables_tell_means_failures_and_scenes_in_common(tmp_path):
    found = [record(scene=s, seed=i, psnr=20 + i) for s in ("fern", "leaves") for i in (0, 1)]
    found += [record("theirs", "fern", i, psnr=24) for i in (0, 1)] + [failure("theirs", "leaves", i) for i in (0, 1)]
    html = page_of(found, tmp_path)
    header, ours, theirs = rows_of(html)
    column = header.index("PSNR (dB)")
    assert (ours[1], ours[column]) == ("2 of 2", "20.50 ± 0.71")
    assert (theirs[1], theirs[column]) == ("1 of 2", "24.00 ± 0.00")
    assert "Over the scenes that all of them finished (fern)" in html
    assert rows_of(html, 2)[1][1] == "1 of 1"
    assert "6 of 8 jobs have a result" in html and html.count("it broke") == 2
    assert "covered PSNR" in html  # figures that this code does not know are shown, too


def test_pose_figures_stand_where_the_cameras_were_not_given(tmp_path):
    assert "ATE" not in rows_of(page_of([record()], tmp_path), 1)[0]
    header, ours = rows_of(page_of([record(poses="unposed")], tmp_path), 1)
    assert ours[header.index("ATE")] == "0.0123"


def test_the_page_says_how_where_and_of_what_it_was_measured(tmp_path):
    html = page_of([record(), record("theirs", machine={**record()["machine"], "commit": "def456"})], tmp_path)
    for words in ("Test 3000", "abc123", "def456", "several commits", "2026-01-02", "llff-8", "docs/protocols.md"):
        assert words in html
    assert "mean over the views" in html and "not measured: no weights" in html
    assert html.count("<svg") == 2  # quality against time, error curves
    assert "passes" in html
    for outside in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert outside.startswith("data:")


def test_quality_against_views_needs_two_numbers_of_photos(tmp_path):
    words = "Quality against the number of photos"
    assert words not in page_of([record()], tmp_path)
    html = page_of([record(), record(views=6, psnr=22)], tmp_path)
    assert words in html


@pytest.mark.parametrize(
    "changes", [{"protocol": "llff-r4"}, {"views": 6}, {"poses": "unposed"}], ids=["protocol", "views", "poses"]
)
def test_published_figures_stand_only_beside_what_was_measured_alike(tmp_path, changes):
    assert "33.33" in page_of([record()], tmp_path, published=[PAPER])
    assert "33.33" not in page_of([record(**changes)], tmp_path, published=[PAPER])


def test_published_figures_stand_with_a_caveat_beside_a_protocol_that_follows_theirs(tmp_path):
    words = "means over all eight scenes"
    html = page_of([record(protocol="public-llff-8")], tmp_path, published=[PAPER])
    assert "33.33" in html and words in html
    assert words not in page_of([record()], tmp_path, published=[PAPER])


def test_strips_show_the_photo_and_every_method(tmp_path):
    rng = np.random.default_rng(0)
    for file in ("truth/a.jpg", "ours/a.jpg", "theirs/a.jpg"):
        (tmp_path / "pictures" / file).parent.mkdir(parents=True, exist_ok=True)
        write_jpeg(tmp_path / "pictures" / file, rng.random((48, 64, 3)).astype(np.float32))
    shown = {m: [{"name": "a.jpg", "truth": "truth/a.jpg", "rendering": f"{m}/a.jpg"}] for m in ("ours", "theirs")}
    found = [record(pictures=shown["ours"]), record("theirs", pictures=shown["theirs"])]
    found += [record(seed=1, pictures=shown["ours"])]
    [strip] = find_strips(group_records(found, ("ours", "theirs")))
    assert list(strip.renderings) == ["ours", "theirs"]
    html = page_of(found, tmp_path)
    assert html.count('src="data:image/jpeg') == 3 and html.count('class="pair"') == 2
    assert len(html) < 20_000_000
    (tmp_path / "pictures" / "theirs" / "a.jpg").unlink()
    assert page_of(found, tmp_path).count('src="data:image/jpeg') == 2


def test_a_strip_ends_with_the_errors_found_and_expected_and_links_to_films(tmp_path):
    rng = np.random.default_rng(0)
    for file in ("truth/a.jpg", "ours/a.jpg", "ours/a-uncertainty.jpg", "theirs/a.jpg"):
        (tmp_path / "pictures" / file).parent.mkdir(parents=True, exist_ok=True)
        write_jpeg(tmp_path / "pictures" / file, rng.random((48, 64, 3)).astype(np.float32))
    (tmp_path / "pictures" / "ours" / "film.mp4").write_bytes(b"film")
    ours = {"name": "a.jpg", "truth": "truth/a.jpg", "rendering": "ours/a.jpg", "uncertainty": "ours/a-uncertainty.jpg"}
    theirs = {"name": "a.jpg", "truth": "truth/a.jpg", "rendering": "theirs/a.jpg"}
    found = [record(pictures=[ours], film="ours/film.mp4"), record("theirs", pictures=[theirs], film="theirs/film.mp4")]
    html = page_of(found, tmp_path)
    labels = re.findall(r"<figcaption>(.*?)</figcaption>", html[html.index("<h2>Pictures") :])
    assert [label.partition(" (")[0] for label in labels] == [
        "photo",
        "theirs",
        "ours",
        "ours: error found",
        "ours: error expected",
    ]
    pairs = re.findall(r'class="pair" src="[^"]*" alt="([^ ]*)', html)
    assert pairs == ["photo:", "ours"], "the slider compares the photo with the first method asked for"
    assert 'href="pictures/ours/film.mp4"' in html and "theirs/film.mp4" not in html  # that one was deleted
    assert 'class="scale"' in html and 'class="scale"' not in page_of([record()], tmp_path)


def test_a_bench_in_which_nothing_worked_still_has_a_page(tmp_path):
    reason = "/home/somebody/secret/tool is missing & <b>gone</b>"
    html = page_of([failure("theirs", reason=reason)], tmp_path)
    assert "0 of 1 jobs have a result" in html and "somebody" not in html and "&lt;b&gt;" in html
