"""Depth maps and single pictures on disk."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparse3d.core.errors import InputError
from sparse3d.io.arrays import save_arrays
from sparse3d.io.depth_files import (
    colour_depth,
    read_depth_mm,
    read_depth_npz,
    write_depth_mm,
    write_depth_npz,
    write_depth_png,
)
from sparse3d.io.image_files import read_image, read_mask, write_jpeg, write_png


def test_npz_round_trip(tmp_path: Path) -> None:
    depth, confidence = np.random.default_rng(0).random((2, 5, 7), dtype=np.float32)
    write_depth_npz(tmp_path / "d.npz", depth, confidence)
    read = read_depth_npz(tmp_path / "d.npz")
    np.testing.assert_array_equal(read[0], depth)
    np.testing.assert_array_equal(read[1], confidence)
    assert set(np.load(tmp_path / "d.npz").files) == {"__meta__", "depth", "confidence"}
    save_arrays(tmp_path / "other.npz", {"depth": depth}, {})
    with pytest.raises(InputError, match="does not hold arrays"):
        read_depth_npz(tmp_path / "other.npz")


def test_millimetres_round_trip(tmp_path: Path) -> None:
    depth = np.array([[0.0, 1.234, 65.5], [-1.0, 70.0, np.nan]], dtype=np.float32)
    write_depth_mm(tmp_path / "d.png", depth)
    np.testing.assert_allclose(read_depth_mm(tmp_path / "d.png"), [[0, 1.234, 65.5], [0, 0, 0]], atol=1e-6)
    write_png(tmp_path / "rgb.png", np.zeros((4, 4, 3)))
    with pytest.raises(InputError, match="expected one channel of 16 bits"):
        read_depth_mm(tmp_path / "rgb.png")


def test_near_is_warm_and_unknown_is_black(tmp_path: Path) -> None:
    depth = np.linspace(1, 10, 100, dtype=np.float32).reshape(10, 10)
    depth[5, 5] = 0
    colours = colour_depth(depth).astype(int)
    assert colours[0, 0, 0] > colours[0, 0, 2]
    assert colours[-1, -1, 2] > colours[-1, -1, 0]
    assert (colours[5, 5] == 0).all()
    np.testing.assert_array_equal(colour_depth(np.zeros((3, 3))), 0)
    write_depth_png(tmp_path / "d.png", depth, depth_range=(1.0, 10.0))
    assert Image.open(tmp_path / "d.png").size == (10, 10)


def test_pictures_round_trip(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).random((6, 8, 3))
    write_png(tmp_path / "a.png", rgb)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.round(rgb * 255).astype(np.uint8))
    write_png(tmp_path / "b.png", np.array([[[np.nan, -1.0, 2.0]]]))
    assert read_image(tmp_path / "b.png").tolist() == [[[0, 0, 255]]]
    write_jpeg(tmp_path / "c.jpg", (rgb * 255).astype(np.uint8))
    assert read_image(tmp_path / "c.jpg").shape == (6, 8, 3)
    with pytest.raises(InputError, match=r"none\.png: does not exist"):
        read_image(tmp_path / "none.png")


def test_masks_are_what_is_not_black(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[1:3, 2:5, 1] = 7
    write_png(tmp_path / "mask.png", pixels)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), pixels.any(-1))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name in ("broken.png", "absent.png"):
        with pytest.raises(InputError, match=name):
            read_mask(tmp_path / name)
