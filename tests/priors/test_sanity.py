"""Photos that no scene can be made of, or that do not belong to it: said in words, the others unharmed."""

import re

import cv2
import numpy as np
import pytest
import torch

from sparse3d.core.errors import InputError
from sparse3d.priors.stereo.cameras import estimate_cameras
from sparse3d.priors.stereo.config import CameraConfig

from .camera_scene import FOCAL_PX, SIZE, Scene, image_set, look_at, make_scene, noise_photo, render
from .test_cameras import needs_xfeat, pose_errors

SIFT = CameraConfig(features="sift")
K = np.array([[FOCAL_PX, 0, SIZE[0] / 2], [0, FOCAL_PX, SIZE[1] / 2], [0, 0, 1.0]])


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(4)


def pixels_of(scene: Scene, count: int) -> list[np.ndarray]:
    return [scene.images.read_pixels(p) for p in scene.images.photos[:count]]


def first_three_unharmed(prior, scene: Scene) -> bool:
    truth = scene.cameras.select([0, 1, 2]).replace(names=("photo0.png", "photo1.png", "photo2.png"))
    found = prior.cameras.select([prior.cameras.names.index(name) for name in truth.names])
    turn, offset = pose_errors(found, truth)
    return turn < 0.5 and offset < 0.03


def test_a_camera_that_only_turned_is_recognised():
    targets = [(-0.8, 0.2, 4.5), (0.0, 0.2, 4.5), (0.8, 0.1, 4.5)]
    photos = [render(K, look_at((0.0, -0.4, 0.3), target))[0] for target in targets]
    with pytest.raises(InputError, match=r"look from one place.*step to the side"):
        estimate_cameras(image_set(photos), None, SIFT, seed=0)


def test_two_photos_from_one_place_and_one_from_elsewhere_are_a_scene():
    here = (0.0, -0.4, 0.3)
    poses = [look_at(here, (-0.5, 0.2, 4.5)), look_at(here, (0.5, 0.2, 4.5)), look_at((0.9, -0.3, 0.1))]
    prior = estimate_cameras(image_set([render(K, p)[0] for p in poses]), None, SIFT, seed=0)
    centres = prior.cameras.centres
    assert len(centres) == 3
    assert (centres[0] - centres[1]).norm() < 0.03 * (centres[0] - centres[2]).norm()


def test_the_same_photo_saved_again_stands_at_the_same_place(scene):
    photos = pixels_of(scene, 3)
    _, data = cv2.imencode(".jpg", photos[1][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    again = np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    prior = estimate_cameras(image_set([*photos, again]), None, SIFT, seed=0)
    assert len(prior.cameras) == 4 and first_three_unharmed(prior, scene)
    assert torch.allclose(prior.cameras.centres[1], prior.cameras.centres[3], atol=2e-3)


@pytest.mark.parametrize("features", ["sift", pytest.param("sift+xfeat", marks=needs_xfeat)])
def test_a_mirrored_photo_is_left_out(scene, features):
    photos = pixels_of(scene, 4)
    photos[3] = np.ascontiguousarray(photos[3][:, ::-1])
    prior = estimate_cameras(image_set(photos), None, CameraConfig(features=features, max_xfeat=800), seed=0)
    assert [name for name, _ in prior.unplaced] == ["photo3.png"]
    assert first_three_unharmed(prior, scene)


def test_two_photos_that_agree_with_one_another_alone_are_left_out(scene):
    centres = [(-0.5, 0.3, 0.4), (0.1, 0.1, 0.3)]
    mirrored = [np.ascontiguousarray(render(K, look_at(centre))[0][:, ::-1]) for centre in centres]
    prior = estimate_cameras(image_set([*pixels_of(scene, 4), *mirrored]), None, SIFT, seed=0)
    assert [name for name, _ in prior.unplaced] == ["photo4.png", "photo5.png"]
    told = re.search(r"its (\d+) matches with the others do not fit", prior.unplaced[0][1])
    assert told is not None and int(told[1]) < 500  # the thousand with its like are not counted
    assert first_three_unharmed(prior, scene)


def test_one_foreign_photo_among_eight_is_named():
    centres = [(-0.9, -0.3, 0.0), (-0.45, -0.35, 0.15), (0.0, -0.4, 0.3), (0.45, -0.35, 0.2), (0.9, -0.3, 0.1)]
    centres += [(0.3, -1.2, 0.2), (-0.5, 0.3, 0.4)]
    photos = [render(K, look_at(centre))[0] for centre in centres]
    prior = estimate_cameras(image_set([*photos[:4], noise_photo(3), *photos[4:]]), None, SIFT, seed=0)
    assert [name for name, _ in prior.unplaced] == ["photo4.png"]
    assert len(prior.cameras) == 7


def test_sigmas_are_of_the_size_of_the_errors_and_grow_with_fewer_points(scene):
    prior = estimate_cameras(scene.images, None, SIFT, seed=0)
    sigmas = prior.pose_sigmas
    assert sigmas is not None and sigmas.rotation_deg.shape == (4,) and (sigmas.position > 0).all()
    turn, _ = pose_errors(prior.cameras, scene.cameras)
    assert turn < 4 * float(sigmas.rotation_deg.max()) and float(sigmas.rotation_deg.max()) < 1.0
    poor = estimate_cameras(scene.images, None, CameraConfig(features="sift", max_sift=150), seed=0)
    assert poor.pose_sigmas is not None
    assert float(poor.pose_sigmas.rotation_deg.mean()) > float(sigmas.rotation_deg.mean())


def test_given_cameras_have_no_sigma(scene):
    prior = estimate_cameras(scene.images, scene.cameras, SIFT, seed=0)
    assert prior.pose_sigmas is not None and float(prior.pose_sigmas.rotation_deg.max()) == 0.0
