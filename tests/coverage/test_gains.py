"""What a further photo is worth, where it can be worked out: beside a hole, twice the same, too far apart."""

import numpy as np
import pytest
import torch

from sparse3d.core.cameras import concatenate
from sparse3d.coverage.analyse import analyse
from sparse3d.coverage.plan import make_plan, rank_cameras


def test_the_photo_of_what_nobody_saw_is_worth_the_most(walls):
    scene = walls.reconstruction(walls.wall(-5, 5), walls.cameras_at(-2.0, -1.5, -1.0))
    again, right = walls.cameras_at(-1.55), walls.cameras_at(1.2)
    gains = rank_cameras(scene, concatenate([again, right]), seed=0, options=walls.OPTIONS)
    assert gains[1] > 3 * gains[0] > 0


def test_a_wider_angle_is_worth_more_than_the_same_place(walls):
    scene = walls.reconstruction(walls.wall(-5, 5), walls.cameras_at(-0.04, 0.0, 0.04))
    same, aside = rank_cameras(scene, walls.cameras_at(0.06, 0.4), seed=0, options=walls.OPTIONS)
    assert aside > 2 * same


def test_what_is_wanted_decides(walls):
    scene = walls.reconstruction(walls.wall(-5, 5), walls.cameras_at(-0.5, 0.0, 0.5))
    left, right = walls.cameras_at(-2.0), walls.cameras_at(2.0)
    both = concatenate([left, right])
    for wanted, best in ((walls.cameras_at(-1.8, -2.2), 0), (walls.cameras_at(1.8, 2.2), 1)):
        gains = rank_cameras(scene, both, seed=0, wanted=wanted, options=walls.OPTIONS)
        assert gains[best] > 2 * max(gains[1 - best], 0)


def test_a_surface_seen_from_afar_is_less_certain_than_from_nearby(walls):
    # All of it is seen by all photos; only the angle differs.
    scene = walls.reconstruction(walls.wall(-0.5, 0.5, half_height=0.5), walls.cameras_at(-0.2, 0.2))
    plan = make_plan(scene, walls.cameras_at(0.0, 0.9), seed=0, options=walls.OPTIONS)
    near, far = (plan.planner([i], turned_deg=20.0).error for i in plan.candidates)
    assert far > 1.5 * near


def test_gains_shrink_when_the_same_was_taken(walls):
    scene = walls.reconstruction(walls.wall(-5, 5), walls.cameras_at(-2.0, -1.5, -1.0))
    plan = make_plan(scene, walls.cameras_at(1.2, 1.25, -1.55), seed=0, options=walls.OPTIONS)
    planner = plan.planner()
    alone = planner.gain(plan.candidates[1])
    chosen = planner.choose(plan.candidates, 3, least=0.0)
    assert {chosen[0].picture} <= set(plan.candidates[:2])
    assert planner.gain(plan.candidates[1]) < 0.5 * alone or chosen[1].gain < 0.6 * alone
    assert [c.gain for c in chosen] == sorted((c.gain for c in chosen), reverse=True)


def test_overlap_is_what_a_matcher_finds_again(walls):
    scene = walls.reconstruction(walls.wall(-6, 6), walls.cameras_at(-0.5, 0.0, 0.5))
    plan = make_plan(scene, walls.cameras_at(0.25, 2.0, 4.6), seed=0, options=walls.OPTIONS)
    planner = plan.planner()
    near, half, none = (planner.overlap(i) for i in plan.candidates)
    assert near > 0.8 > half > 0.3 and none < 0.05


@pytest.mark.parametrize(("side", "word"), [(1, "right"), (-1, "left")])
def test_a_hole_on_one_side_turns_people_to_that_side(walls, side, word):
    # Lower than the pictures, so that nothing is to be found by a step back.
    wall = walls.wall(-5, 5, half_height=1.3)
    scene = walls.reconstruction(wall, walls.cameras_at(*(side * x for x in (-4.0, -3.0, -2.0, -1.0))))
    coverage, figures = analyse(scene, seed=0, options=walls.OPTIONS)
    best = coverage.next_photos[0]
    pose = best.camera.world_from_cam[0].numpy()
    edge = pose[:3, :3] @ np.array([0.5 * side, 0, 1])  # of the picture, on the side of the hole
    reaches = side * (pose[0, 3] + edge[0] / edge[2] * 4)
    assert reaches > 1.5, "the photos end at 1, and the wall goes on to 5"
    assert f"to the {word}" in best.text
    assert best.gain > 0.1 and coverage.verdict[0].startswith("The photos cover")
    assert sum(coverage.seen_shares) == pytest.approx(1)
    assert len(figures.photos) == len(wall)
    seen = figures.photos >= 2
    assert figures.expected_error[seen].median() < 0.5 * figures.expected_error[figures.photos == 0].median()
    gains = [place.gain for place in coverage.next_photos]
    assert len(gains) <= 5 and gains == sorted(gains, reverse=True)


def test_the_same_seed_gives_the_same_places(walls):
    scene = walls.reconstruction(walls.wall(-3, 3), walls.cameras_at(-0.6, 0.0, 0.6))
    one, other = (analyse(scene, seed=3, options=walls.OPTIONS)[0] for _ in range(2))
    assert [p.text for p in one.next_photos] == [p.text for p in other.next_photos]
    assert [p.gain for p in one.next_photos] == [p.gain for p in other.next_photos]


@pytest.mark.parametrize("xs", [(0.0, 0.5), (0.0, 0.0)])
def test_two_photos_even_from_one_spot_are_enough(walls, xs):
    scene = walls.reconstruction(walls.wall(-3, 3), walls.cameras_at(*xs))
    coverage, _ = analyse(scene, seed=0, options=walls.OPTIONS)
    assert len(coverage.photos) == 2 and np.isfinite(coverage.step) and coverage.step > 0
    for place in coverage.next_photos:
        assert torch.isfinite(place.camera.cam_from_world).all()


def test_a_scene_that_no_photo_shows_has_no_places(walls):
    scene = walls.reconstruction(walls.wall(-3, 3, z=-4.0), walls.cameras_at(0.0, 0.5))
    coverage, figures = analyse(scene, seed=0, options=walls.OPTIONS)
    assert coverage.next_photos == () and (figures.photos == 0).all()
    assert coverage.seen_shares[0] == pytest.approx(1)
