"""The lens model against OpenCV's, and pictures that go through it and back."""

import cv2
import numpy as np
import pytest

from sparse3d.core.distortion import (
    distort_image,
    distort_points,
    render_camera_for,
    undistort_image,
    undistort_mask,
    undistort_points,
    undistorted_camera,
)

SIZE = (160, 120)
K = np.array([[130.0, 0, 83.0], [0, 132.0, 57.0], [0, 0, 1]])
LENSES = [np.array(lens) for lens in ([-0.25, 0.06, 0.002, -0.001], [0.12, 0.0, 0.0, 0.0], [-0.05, 0.01, 0.0, 0.003])]
NO_LENS = np.zeros(4)


def smooth_picture(size: tuple[int, int] = SIZE) -> np.ndarray:
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    channels = [np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 13)]
    return (0.5 + 0.4 * np.stack(channels, axis=2)).astype(np.float32)


@pytest.mark.parametrize("lens", LENSES)
def test_points_agree_with_opencv(lens: np.ndarray) -> None:
    points = np.random.default_rng(0).uniform((0, 0), SIZE, (200, 2))
    rays = np.concatenate([(points - K[:2, 2]) / K.diagonal()[:2], np.ones((200, 1))], axis=1)
    # OpenCV's coordinates are ours for points that never meet a pixel grid: its K here is ours, without the half pixel.
    expected = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), K, lens)[0][:, 0]
    np.testing.assert_allclose(distort_points(points, K, lens), expected, atol=1e-9)
    np.testing.assert_allclose(undistort_points(expected, K, lens), points, atol=1e-8)


def test_points_beyond_the_lens_model_are_nan() -> None:
    far_out = np.array([[2000.0, 57.0], [83.0, 57.0]])
    found = undistort_points(far_out, K, np.array([-0.3, 0, 0, 0]))
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [83, 57], atol=1e-9)


@pytest.mark.parametrize("lens", LENSES)
def test_picture_survives_undistortion_and_back(lens: np.ndarray) -> None:
    picture = smooth_picture()
    wide_K, wide_size = render_camera_for(K, lens, SIZE)
    undistorted, mask = undistort_image(picture, K, lens, wide_K, wide_size)
    assert undistorted.shape == (wide_size[1], wide_size[0], 3)
    back = distort_image(undistorted, wide_K, K, lens, SIZE)
    inner = (slice(4, -4), slice(4, -4))
    assert np.abs(back - picture)[inner].max() < 0.01
    assert 0.5 < mask.mean() <= 1


@pytest.mark.parametrize("lens", LENSES)
def test_distorted_rendering_shows_points_where_the_lens_puts_them(lens: np.ndarray) -> None:
    wide_K, wide_size = render_camera_for(K, lens, SIZE)
    dot = np.array([60.3, 41.8])
    x, y = np.meshgrid(np.arange(wide_size[0]) + 0.5, np.arange(wide_size[1]) + 0.5)
    blob = np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / 18)
    shown = distort_image(np.repeat(blob[..., None], 3, 2), wide_K, K, lens, SIZE)[..., 0].astype(float)
    x, y = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    centroid = [(x * shown).sum() / shown.sum(), (y * shown).sum() / shown.sum()]
    np.testing.assert_allclose(centroid, distort_points(dot[None] - wide_K[:2, 2] + K[:2, 2], K, lens)[0], atol=0.1)


def test_working_camera_avoids_borders_and_keeps_the_content() -> None:
    for lens in LENSES:
        new_K, new_size = undistorted_camera(K, lens, SIZE, 80)
        assert new_size == (80, 60)
        np.testing.assert_allclose(new_K[:2, 2], K[:2, 2] / 2)
        _, mask = undistort_image(smooth_picture(), K, lens, new_K, new_size)
        assert mask.mean() > 0.95
    new_K, new_size = undistorted_camera(K, NO_LENS, SIZE, 1000)
    assert new_size == SIZE
    np.testing.assert_array_equal(new_K, K)


def test_without_a_lens_it_is_an_area_resize() -> None:
    bytes_picture = (smooth_picture() * 255).astype(np.uint8)
    new_K, new_size = undistorted_camera(K, NO_LENS, SIZE, 40)
    small, mask = undistort_image(bytes_picture, K, NO_LENS, new_K, new_size)
    expected = bytes_picture.reshape(30, 4, 40, 4, 3).mean((1, 3)) / 255
    np.testing.assert_allclose(small, expected, atol=1e-5)
    assert small.dtype == np.float32
    assert mask.all()


def test_shifted_pinhole_masks_what_the_photo_does_not_show() -> None:
    shifted = K.copy()
    shifted[0, 2] += 10
    picture, mask = undistort_image(smooth_picture(), K, NO_LENS, shifted, SIZE)
    assert not mask[:, :10].any()
    assert mask[:, 10:].all()
    np.testing.assert_allclose(picture[:, 10:], smooth_picture()[:, :-10], atol=1e-5)


def test_mask_is_zero_where_any_part_is_masked() -> None:
    mask = np.ones((120, 160), dtype=bool)
    mask[:, :81] = False
    small = undistort_mask(mask, K, NO_LENS, *undistorted_camera(K, NO_LENS, SIZE, 80))
    assert not small[:, :41].any()
    assert small[:, 41:].all()


def test_a_nonsensical_lens_does_not_crash_or_explode() -> None:
    lens = np.array([-3.0, 9.0, 0.5, 0.5])
    wide_K, wide_size = render_camera_for(K, lens, SIZE)
    assert max(wide_size) <= 2.5 * max(SIZE) + 2
    picture = distort_image(np.zeros((wide_size[1], wide_size[0], 3)), wide_K, K, lens, SIZE)
    assert np.isfinite(picture).all()
    undistorted_camera(K, lens, SIZE, 80)
