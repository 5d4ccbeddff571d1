"""The built-in prior behind the interface that every prior has."""

import dataclasses

import pytest

from sparse3d.io.known_cameras import read_known_cameras
from sparse3d.io.photos import load_photos
from sparse3d.io.scenes import load_scene
from sparse3d.priors.interface import Prior
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.prior import StereoPrior

SMALL = StereoPrior(CameraConfig(features="sift", max_side=512), DepthConfig(max_side=160))


@pytest.fixture(scope="module")
def scene():
    scene = load_scene("courtyard")
    images = load_photos(scene.root / "images", names=scene.split["sparse3"]["train"])
    assert scene.cameras_path is not None
    return images, read_known_cameras(scene.cameras_path, images)


def test_it_is_a_prior_and_gives_cameras_and_depth(scene):
    images, known = scene
    assert isinstance(SMALL, Prior)
    cameras = SMALL.estimate_cameras(images, known, seed=0)
    assert cameras.cameras.pose_known == (True,) * 3 and cameras.cameras.intrinsics_known == (True,) * 3
    prior = SMALL.estimate_geometry(images, cameras)
    assert len(prior.depths) == 3 and max(prior.cameras.sizes[0]) == 160


def test_what_the_user_frees_is_free_for_the_optimiser_too(scene):
    images, known = scene
    camera = dataclasses.replace(SMALL.camera, free_known_poses=True)
    prior = dataclasses.replace(SMALL, camera=camera).estimate_cameras(images, known, seed=0)
    assert prior.cameras.pose_known == (False,) * 3
    assert prior.cameras.intrinsics_known == (True,) * 3
