"""Places in words, and places themselves."""

import numpy as np
import pytest

from sparse3d.core.coverage import NextPhoto
from sparse3d.coverage.places import MAX_PLACES, level_axes, look_at, propose, step_length
from sparse3d.coverage.verdict import coverage_verdict
from sparse3d.coverage.words import amount, describe_place

UP = np.array([0.0, -1.0, 0.0])
"""The cameras' y axis points down."""


def place_at(x: float, y: float, z: float, target: tuple[float, float, float]) -> np.ndarray:
    return look_at(np.array([x, y, z], float), np.array(target, float), UP, np.eye(4))


@pytest.mark.parametrize(
    ("where", "target", "words"),
    [
        ((1.0, 0, 0), (1.0, 0, 4.0), "one step to the right of #, looking the same way, facing what # shows at the right"),
        ((-0.5, 0, 0), (0, 0, 4.0), "half a step to the left of #, turned 5° to the right, facing what # shows in the middle"),
        ((0, -1.0, 0), (0, -1.0, 4.0), "one step higher from #, looking the same way, facing what # shows at the top"),
        ((0, 0, -2.0), (0, 0, 4.0), "two steps back from #, looking the same way, facing what # shows in the middle"),
        ((1.5, 0, -0.5), (1.5, 0, 3.5), "one and a half steps to the right of # and half a step back"),
        ((1.0, 0.5, -0.8), (1.0, 0.5, 3.2), "one step to the right of #, three quarters of a step back and half a step lower"),
        ((0, 0, 0), (-4.0, 0, 4.0), "where # was taken, turned 45° to the left, facing what lies beyond the left edge of #"),
        ((0, 0, 0), (0, 2.4, 4.0), "where # was taken, turned 30° down, facing what lies beyond the lower edge of #"),
    ],
)  # fmt: skip
def test_places_in_words(walls, where, target, words):
    words = words.replace("#", "0.jpg")
    photos = walls.cameras_at(0.0)
    found = describe_place(place_at(*where, target), np.array(target, float), photos, UP, 1.0)
    if "turned 5°" in words:  # 7.1 degrees are told, rounded to five
        assert found.text == words
    else:
        assert found.text.startswith(words)
    assert found.near == "0.jpg"


def test_the_nearest_photo_that_looks_alike_is_named(walls):
    photos = walls.cameras_at(0.0, 3.0)
    found = describe_place(place_at(2.5, 0, 0, (2.5, 0, 4.0)), np.array([2.5, 0, 4.0]), photos, UP, 1.0)
    assert found.near == "1.jpg" and found.text.startswith("half a step to the left of 1.jpg")


def test_amounts():
    assert [amount(x) for x in (0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 6.2)] == [
        "a quarter of a step", "half a step", "three quarters of a step", "one step", "two steps", "three steps", "6 steps",
    ]  # fmt: skip


def test_places_are_upright_rigid_and_no_photo_again(walls):
    photos = walls.cameras_at(-0.5, 0.0, 0.5)
    step = step_length(photos, np.full(3, 4.0))
    assert step == pytest.approx(0.5)
    places = propose(photos, np.full(3, 4.0), step)
    assert 5 <= len(places) <= MAX_PLACES and len(set(places.names)) == len(places)
    poses = places.world_from_cam.numpy()
    for pose in poses:
        rotation = pose[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9) and np.linalg.det(rotation) > 0
        assert abs(rotation[1, 0]) < 1e-9, "the horizon is level, as in the photos"
        assert -rotation[:, 1] @ UP > 0.9
        away = np.linalg.norm(photos.centres.numpy() - pose[:3, 3], axis=1)
        assert away.min() > 0.35 * step or rotation[2, 2] < np.cos(np.radians(12))


def test_a_photo_taken_on_its_side_is_continued_on_its_side(walls):
    rolled = np.eye(4)
    rolled[:3, :3] = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    pose = look_at(np.array([1.0, 0, 0]), np.array([1.0, 0, 4.0]), UP, rolled)
    assert np.allclose(pose[:3, :3], rolled[:3, :3], atol=1e-9)


def test_somebody_who_looks_down_has_the_top_of_the_picture_ahead():
    down = look_at(np.zeros(3), np.array([0.0, 4.0, 0.0]), UP, np.eye(4))
    assert np.isfinite(down).all()
    axes = level_axes(down, UP)
    assert np.allclose(axes[2], -down[:3, 1]) and np.allclose(axes @ axes.T, np.eye(3))


def test_steps_of_photos_from_one_spot_and_from_afar_are_bounded(walls):
    assert step_length(walls.cameras_at(0.0, 0.0), np.array([4.0, 4.0])) == pytest.approx(0.16)
    assert step_length(walls.cameras_at(0.0, 50.0), np.array([4.0, 4.0])) == pytest.approx(1.6)


def test_verdict_tells_shares_and_the_best_place(walls):
    place = NextPhoto(walls.cameras_at(1.0), 0.3, "a.jpg", "one step to the right of a.jpg")
    good = coverage_verdict((0.1, 0.1, 0.3, 0.5), 0.02, (place,))
    assert (
        "well" in good[0] and "80 %" in good[0] and "one step to the right of a.jpg" in good[-1] and "30 %" in good[-1]
    )
    part = coverage_verdict((0.3, 0.2, 0.3, 0.2), 0.4, ())
    assert "only part" in part[0] and any("farther apart" in s for s in part) and "No place" in part[-1]
    assert "little" in coverage_verdict((0.6, 0.2, 0.1, 0.1), 0.0, ())[0]
