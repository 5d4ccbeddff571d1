"""The viewer's parts that need no browser: the camera's path, the crop's box, runs side by side."""

import numpy as np
import pytest
import torch

from sparse3d.core import se3

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer import text
from sparse3d_viewer.app import show_side_by_side
from sparse3d_viewer.crop_box import box_edges, grips_for
from sparse3d_viewer.flight import flight
from sparse3d_viewer.keyframes import Keyframe, path
from sparse3d_viewer.run import LoadedRun
from sparse3d_viewer.scene import build_scene
from sparse3d_viewer.session import Box


def keyframe(x: float, turn: float = 0.0) -> Keyframe:
    rotation = se3.so3_exp(torch.tensor([0.0, turn, 0.0], dtype=torch.float64))
    return Keyframe(np.array([x, 0.0, 0.0]), se3.rotation_to_quat_wxyz(rotation).numpy(), 0.8 + 0.1 * x)


def test_the_path_passes_its_key_frames_and_never_overshoots():
    frames = [keyframe(0.0), keyframe(1.0, 0.5), keyframe(1.0, 0.5), keyframe(3.0, 1.0)]
    eyes = path(frames, 61, (64, 48))
    for index, frame in zip((0, 20, 40, 60), frames, strict=True):
        assert np.allclose(eyes[index].position, frame.position)
        assert abs(eyes[index].wxyz @ frame.wxyz) == pytest.approx(1.0)
        assert eyes[index].fov_y_rad == pytest.approx(frame.fov_y_rad)
    assert (np.diff([eye.position[0] for eye in eyes]) >= -1e-12).all()
    assert np.allclose([eyes[i].position[0] for i in range(20, 41)], 1.0), "it stands still between equal key frames"
    with pytest.raises(ValueError, match="at least 2 key frames"):
        path(frames[:1], 5, (64, 48))


def test_a_box_has_twelve_edges_and_holds_what_lies_within():
    box = Box((0.0, 0.0, 0.0), (1.0, 2.0, 3.0))
    edges = box_edges(box)
    lengths = sorted(np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1).round(6).tolist())
    assert lengths == [1.0] * 4 + [2.0] * 4 + [3.0] * 4
    assert box.holds(np.array([[0.5, 1.9, 2.9], [0.5, 2.1, 1.0], [-0.1, 1.0, 1.0]])).tolist() == [True, False, False]


def test_each_arrow_moves_its_own_face_and_the_corner_moves_all():
    box = Box((0.0, 0.0, 0.0), (1.0, 2.0, 3.0))
    viewpoint = build_scene(make_reconstruction()).viewpoints[0]
    grips = grips_for(viewpoint)
    assert grips[0].place(box).tolist() == [0.0, 0.0, 3.0], "left, above and far, as the first photo sees it"
    assert grips_for(None)[0].place(box).tolist() == [0.0, 0.0, 0.0]
    for grip in grips:
        start = grip.place(box)
        assert grip.moved(box, start) == box
        moved = grip.moved(box, start + 0.25)
        change = np.array([moved.low, moved.high]) - np.array([box.low, box.high])
        expected = np.full((2, 3), 0.25 if grip.axis is None else 0.0)
        if grip.axis is not None:
            expected[grip.side, grip.axis] = 0.25
        assert np.allclose(change, expected), grip
        rotation = se3.quat_wxyz_to_rotation(torch.tensor(grip.wxyz, dtype=torch.float64))
        if grip.axis is not None:
            assert rotation[grip.axis, grip.axis] == (1 if grip.side else -1), "the arrow points outward"
    assert len({grip.node for grip in grips}) == 7


def test_runs_in_different_worlds_stand_in_one_place():
    one, other = (LoadedRun(str(scale), make_reconstruction(scale), {}) for scale in (1.0, 1000.0))
    first, second = show_side_by_side([one, other])
    assert second.aligned and np.allclose(first.scene.centres, second.scene.centres, atol=1e-3)
    strange = make_reconstruction()
    strange = strange.replace(cameras=strange.cameras.replace(names=("x.jpg", "y.jpg", "z.jpg")))
    assert not show_side_by_side([one, LoadedRun("strange", strange, {})])[1].aligned


def test_a_flight_ends_at_its_goal_and_is_slow_at_both_ends():
    start, goal = keyframe(0.0), keyframe(2.0, 0.8)
    places = flight(start, goal)
    assert places[-1] is goal and len(places) > 5
    steps = np.diff([0.0] + [place.position[0] for place in places])
    assert (steps > 0).all() and steps[0] < 0.5 * steps.max() and steps[-1] < 0.5 * steps.max()
    turns = [2 * np.arccos(min(1.0, abs(place.wxyz @ start.wxyz))) for place in places]
    assert (np.diff(turns) > 0).all() and turns[-1] == pytest.approx(0.8)
    assert np.allclose(places[-1].rotation[:, 2], [np.sin(0.8), 0, np.cos(0.8)])
    assert flight(goal, goal) == [goal]


def test_words_tell_which_run_is_where_and_whether_they_stand_in_one_place():
    words = text.beside("<b>one", "two", aligned=True)
    assert "&lt;b&gt;one" in words and words.index("one") < words.index("two") and "not aligned" not in words
    assert "not aligned" in text.beside("one", "two", aligned=False)
    assert "both sides" in text.beside("one", "one", aligned=True)
