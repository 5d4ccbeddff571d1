"""Photos turned in their plane: XFeat's matches where one of two photos is turned back."""

import numpy as np
import pytest

from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo import turning
from sparse3d.priors.stereo.cameras import estimate_cameras
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.features import describe_turned, detect, turn_points
from sparse3d.priors.stereo.known import initial_model
from sparse3d.priors.stereo.match_graph import build_graph

from .camera_scene import FOCAL_PX, image_set, make_scene
from .test_cameras import needs_xfeat, pose_errors

XFEAT = CameraConfig(features="xfeat", max_xfeat=800)


def with_one_on_its_side(quarter_turns: int) -> ImageSet:
    images = make_scene(3).images
    photos = [images.read_pixels(p) for p in images.photos]
    photos[1] = np.ascontiguousarray(np.rot90(photos[1], quarter_turns))
    return image_set(photos)


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_points_turn_as_pixels_do(quarter_turns):
    picture = np.arange(12).reshape(3, 4)
    turned = np.rot90(picture, quarter_turns)
    centres = np.stack(np.meshgrid(np.arange(4), np.arange(3)), -1).reshape(-1, 2) + 0.5
    columns, rows = turn_points(centres, (4, 3), quarter_turns).astype(int).T
    assert (turned[rows, columns] == picture.ravel()).all()


@needs_xfeat
def test_keypoints_described_again_in_the_photo_as_it_stands_look_the_same():
    images = make_scene(1).images
    (found,) = detect(images, images.photos[0], ["xfeat"], XFEAT)
    again = describe_turned(images, images.photos[0], found, 0, XFEAT)
    assert np.abs(again.descriptors - found.descriptors).max() < 1e-4
    assert again.size == found.size and again.scale == found.scale


@needs_xfeat
@pytest.mark.parametrize("quarter_turns", [1, 2])
def test_a_photo_on_its_side_is_placed_by_xfeat_alone(quarter_turns):
    truth = make_scene(3).cameras
    prior = estimate_cameras(with_one_on_its_side(quarter_turns), None, XFEAT, seed=0)
    assert len(prior.cameras) == 3
    assert float(prior.cameras.K[0, 0, 0]) == pytest.approx(FOCAL_PX, rel=0.1)
    poses = prior.cameras.cam_from_world.clone()
    poses[1, :2] = poses.new_tensor([[0.0, -1.0], [1.0, 0.0]]).matrix_power(quarter_turns) @ poses[1, :2]
    assert pose_errors(prior.cameras.replace(cam_from_world=poses), truth)[0] < 1.5


@needs_xfeat
def test_photos_that_matches_link_are_not_turned(monkeypatch):
    def refuse(*_):
        raise AssertionError("turned")

    monkeypatch.setattr(turning, "describe_turned", refuse)
    images = make_scene(3).images
    graph = build_graph(images, ["xfeat"], initial_model(images, None, XFEAT), XFEAT)
    assert min(len(p.matches) for p in graph.pairs) >= turning.WELL_LINKED
    assert turning.link_by_turns(images, graph, XFEAT).pairs == graph.pairs
