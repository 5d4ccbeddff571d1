"""coverage.json: what is written is read again, and what is damaged is told by name."""

import json

import pytest
import torch

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.coverage import Coverage, NextPhoto, PhotoCoverage
from sparse3d.core.errors import InputError
from sparse3d.io.coverage_json import read_coverage, write_coverage


def make_coverage(places: int = 2) -> Coverage:
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = 1.5
    camera = Cameras.build(pose[None], intrinsics_matrix(500.0, 510.0, 320.0, 240.0)[None], [(640, 480)], names=["x"])
    return Coverage(
        verdict=("The photos cover the scene.", "Second."),
        seen_shares=(0.1, 0.2, 0.3, 0.4),
        narrow_share=0.05,
        photos=(PhotoCoverage("a.jpg", 0.9, 12.5, 0.01), PhotoCoverage("b.jpg", 0.8, 0.0, 0.1)),
        next_photos=tuple(NextPhoto(camera, 0.3 / (i + 1), "a.jpg", f"step {i} of a.jpg") for i in range(places)),
        step=0.7,
    )


def test_round_trip(tmp_path):
    path = tmp_path / "coverage.json"
    written = make_coverage()
    write_coverage(path, written)
    read = read_coverage(path)
    assert (read.verdict, read.seen_shares, read.narrow_share, read.photos, read.step) == (
        written.verdict, written.seen_shares, written.narrow_share, written.photos, written.step,
    )  # fmt: skip
    assert read.seen_twice == pytest.approx(0.7)
    for i, (one, other) in enumerate(zip(read.next_photos, written.next_photos, strict=True), 1):
        assert (one.gain, one.near, one.text) == (other.gain, other.near, other.text)
        assert torch.equal(one.camera.cam_from_world, other.camera.cam_from_world)
        assert torch.equal(one.camera.K, other.camera.K) and one.camera.sizes == other.camera.sizes
        assert one.camera.names == (f"+{i}",)


def test_no_places_is_fine(tmp_path):
    write_coverage(tmp_path / "c.json", make_coverage(0))
    assert read_coverage(tmp_path / "c.json").next_photos == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 7}, "version 7"),
        ({"axes": "opengl"}, "version"),
        ({"seen_by": {"none": 0.1}}, "damaged"),
        ({"photos": [1]}, "damaged"),
        ({"next_photos": [{"text": "x", "near": "a", "gain": 0.1}]}, "next photo 1"),
        ({"next_photos": [{"text": "x", "near": "a", "gain": 0.1, "width": 4, "height": 3}]}, "no pose"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, change, words):
    path = tmp_path / "coverage.json"
    write_coverage(path, make_coverage())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=words) as error:
        read_coverage(path)
    assert "coverage.json" in str(error.value)
