"""Known cameras: every format gives the same cameras, found by name, scaled to the photos."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.core.images import ImageSet
from sparse3d.io.cameras_json import write_cameras_json
from sparse3d.io.colmap import write_colmap
from sparse3d.io.known_cameras import match_names, read_given_cameras, read_known_cameras
from sparse3d.io.photos import load_photos

NAMES = ("IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg")


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return make_images(tmp_path / "photos", (32, 24))


@pytest.fixture
def truth(generator: torch.Generator) -> Cameras:
    poses = se3.se3_exp(torch.randn(3, 6, dtype=torch.float64, generator=generator))
    K = intrinsics_matrix(60.0, 60.0, 32.0, 24.0).repeat(3, 1, 1)
    return Cameras.build(poses, K, [(64, 48)] * 3, names=NAMES)


def make_images(folder: Path, size: tuple[int, int]) -> ImageSet:
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return load_photos(folder)


def write_transforms(path: Path, truth: Cameras, names: list[str], **document: Any) -> None:
    flip = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))
    poses = (truth.world_from_cam @ flip).tolist()
    frames = [{"file_path": name, "transform_matrix": pose} for name, pose in zip(names, poses, strict=True)]
    path.write_text(json.dumps(document | {"frames": frames}))


def check(found: Cameras, truth: Cameras) -> None:
    """The photos are half the size that the cameras were made for."""
    assert found.names == NAMES
    assert found.sizes == ((32, 24),) * 3
    assert found.groups == (0, 0, 0)
    assert all(found.pose_known)
    assert all(found.intrinsics_known)
    torch.testing.assert_close(found.cam_from_world, truth.cam_from_world, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.K[0], intrinsics_matrix(30.0, 30.0, 16.0, 12.0))


def test_cameras_json(tmp_path: Path, images: ImageSet, truth: Cameras) -> None:
    named = truth.select([2, 0, 1]).replace(names=("images/img_3.JPG", "images/img_1.png", "images/img_2.png"))
    write_cameras_json(tmp_path / "known.json", named)
    check(read_known_cameras(tmp_path / "known.json", images), truth)


def test_cameras_of_photos_that_are_not_in_use_are_read_too(tmp_path: Path, images: ImageSet, truth: Cameras) -> None:
    write_cameras_json(tmp_path / "cameras.json", truth)
    write_transforms(tmp_path / "transforms.json", truth, list(NAMES), fl_x=60.0, cx=32.0, cy=24.0, w=64, h=48)
    few = images.select(NAMES[:2])
    for file in ("cameras.json", "transforms.json"):
        given = read_given_cameras(tmp_path / file, few)
        assert given.names == NAMES and torch.allclose(given.cam_from_world, truth.cam_from_world, atol=1e-6)
    assert read_known_cameras(tmp_path / "cameras.json", few).names == NAMES[:2]


@pytest.mark.parametrize("place", [".", "sparse/0"])
def test_colmap(tmp_path: Path, images: ImageSet, truth: Cameras, place: str) -> None:
    none = torch.zeros(0, dtype=torch.int64)
    no_points = SparsePoints(*(torch.zeros(0, 3),) * 2, torch.zeros(0), none, none, torch.zeros(0, 2))
    write_colmap(tmp_path / "model" / place, truth, no_points)
    check(read_known_cameras(tmp_path / "model", images), truth)


def test_nerfstudio(tmp_path: Path, images: ImageSet, truth: Cameras) -> None:
    shared = {"fl_x": 60.0, "fl_y": 60.0, "cx": 32, "cy": 24, "w": 64, "h": 48, "k1": 0.01, "camera_model": "OPENCV"}
    write_transforms(tmp_path / "transforms.json", truth, [f"./images/{name}" for name in NAMES], **shared)
    found = read_known_cameras(tmp_path, images)
    check(found, truth)
    assert found.distortion[0].tolist() == [0.01, 0, 0, 0]


def test_blender(tmp_path: Path, images: ImageSet, truth: Cameras) -> None:
    names = [f"./train/{Path(name).stem}" for name in NAMES]
    write_transforms(tmp_path / "transforms_train.json", truth, names, camera_angle_x=2 * math.atan(32 / 60))
    check(read_known_cameras(tmp_path / "transforms_train.json", images), truth)


def test_llff(tmp_path: Path, images: ImageSet, truth: Cameras) -> None:
    world_from_cam = truth.world_from_cam.numpy()
    rows = []
    for pose in world_from_cam:
        right, down, forward, centre = pose[:3].T
        matrix = np.stack([down, right, -forward, centre, [48, 64, 60]], axis=1)
        rows.append([*matrix.ravel(), 1.0, 10.0])
    np.save(tmp_path / "poses_bounds.npy", np.array(rows))
    check(read_known_cameras(tmp_path / "poses_bounds.npy", images), truth)
    np.save(tmp_path / "poses_bounds.npy", np.array(rows)[:2])
    with pytest.raises(InputError, match="2 poses for 3 photos"):
        read_known_cameras(tmp_path / "poses_bounds.npy", images)
    some = load_photos(tmp_path / "photos", names=NAMES[1:])
    np.save(tmp_path / "poses_bounds.npy", np.array(rows))
    found = read_known_cameras(tmp_path / "poses_bounds.npy", some)
    torch.testing.assert_close(found.cam_from_world, truth.cam_from_world[1:], rtol=0, atol=1e-9)


def test_what_is_not_given_is_nan(
    tmp_path: Path, images: ImageSet, truth: Cameras, caplog: pytest.LogCaptureFixture
) -> None:
    poses = truth.cam_from_world.clone()
    poses[0] = torch.nan
    write_cameras_json(tmp_path / "known.json", truth.replace(cam_from_world=poses).select([0, 2]))
    with caplog.at_level(logging.WARNING):
        found = read_known_cameras(tmp_path / "known.json", images)
    assert found.pose_known == (False, False, True)
    assert found.intrinsics_known == (True, False, True)
    assert found.cam_from_world[:2].isnan().all()
    assert found.K[1].isnan().all()
    assert "no camera for IMG_2.jpg" in caplog.text


def test_wrong_shapes_are_explained(tmp_path: Path, truth: Cameras) -> None:
    write_cameras_json(tmp_path / "known.json", truth)
    with pytest.raises(InputError, match=r"IMG_1\.jpg is 64x48 there but the photo is 24x32; the photo is turned"):
        read_known_cameras(tmp_path / "known.json", make_images(tmp_path / "turned", (24, 32)))
    with pytest.raises(InputError, match="cropped or stretched"):
        read_known_cameras(tmp_path / "known.json", make_images(tmp_path / "square", (32, 32)))


def test_no_photo_matched_lists_names_of_both(tmp_path: Path, images: ImageSet, truth: Cameras) -> None:
    write_cameras_json(tmp_path / "known.json", truth.replace(names=("x.jpg", "y.jpg", "z.jpg")))
    with pytest.raises(InputError, match=r"it has x\.jpg, y\.jpg, z\.jpg, the photos are IMG_1\.jpg"):
        read_known_cameras(tmp_path / "known.json", images)


def test_names_match_best_first() -> None:
    given = ["left/a.jpg", "b.JPG", "c"]
    assert match_names(["a.jpg", "b.jpg", "c.png", "d.jpg"], given, "f") == [0, 1, 2, None]
    assert match_names(["a.jpg"], ["a.jpg", "right/a.jpg"], "f") == [0]
    with pytest.raises(InputError, match=r"a\.jpg could be left/a\.jpg or right/a\.jpg"):
        match_names(["a.jpg"], ["left/a.jpg", "right/a.jpg"], "f")


def test_unusable_files_are_named(tmp_path: Path, images: ImageSet, truth: Cameras) -> None:
    for name, content, message in [
        ("other.json", "{}", "is neither a cameras.json"),
        ("x.txt", "", "is of no known format"),
        ("poses_bounds.npy", "garbage", "no numpy file"),
        ("frames.json", '{"frames": [{"file_path": "IMG_1.jpg"}]}', "not a 4x4 matrix"),
        ("frames.json", '{"frames": [{}]}', "has no 'file_path'"),
        ("frames.json", '{"fl_x": 0, "frames": [{"file_path": "IMG_1.jpg"}]}', "fl_x must be positive"),
        ("frames.json", '{"camera_angle_x": 4, "frames": [{"file_path": "IMG_1.jpg"}]}', "between 0 and pi"),
        ("frames.json", '{"camera_model": "OPENCV_FISHEYE", "frames": [{"file_path": "IMG_1.jpg"}]}', "not supported"),
    ]:
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=message):
            read_known_cameras(tmp_path / name, images)
    np.save(tmp_path / "poses_bounds.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match="no numpy file or damaged"):
        read_known_cameras(tmp_path / "poses_bounds.npy", images)
    with pytest.raises(InputError, match="no such file or folder"):
        read_known_cameras(tmp_path / "nowhere", images)
    with pytest.raises(InputError, match="holds no known cameras"):
        read_known_cameras(tmp_path / "photos", images)
