"""Photos that do not fit the others: found by exact depth, told apart, left out and placed anew."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import GeometryPrior, SparsePoints, ViewDepth
from sparse3d.core.images import ImageSet
from sparse3d.priors.outliers.config import OutlierConfig
from sparse3d.priors.outliers.fit import Fit, fits
from sparse3d.priors.outliers.judge import odd_one_out, told
from sparse3d.priors.outliers.quarantine import Quarantine, checked, without_outliers
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.prior import StereoPrior

from .camera_scene import Scene, image_set, make_scene, noise_photo

CONFIG = OutlierConfig()
SOURCE = StereoPrior(CameraConfig(features="sift", max_sift=1000), DepthConfig(max_side=128, coarse_scale=0.5))


def turned(cameras: Cameras, view: int, degrees: float) -> Cameras:
    """Cameras with one of them turned in its place."""
    axis = torch.nn.functional.normalize(torch.tensor([0.3, 0.8, 0.2], dtype=torch.float64), dim=0)
    poses = cameras.cam_from_world.clone()
    poses[view, :3] = se3.so3_exp(axis * np.radians(degrees)) @ poses[view, :3]
    return cameras.replace(cam_from_world=poses)


def with_foreign(images: ImageSet, view: int) -> ImageSet:
    """The same photos, one of which shows something else."""
    pixels = [images.read_pixels(photo) for photo in images.photos]
    pixels[view] = noise_photo(3)
    return image_set(pixels)


def points_of(pairs: dict[tuple[int, int], int]) -> SparsePoints:
    """Sparse points of which so many are seen by each two views."""
    seen = [(view, point) for point, pair in enumerate(p for p, n in pairs.items() for _ in range(n)) for view in pair]
    views, points = (torch.tensor(column) for column in zip(*seen, strict=True))
    count = int(points.max()) + 1
    blank = torch.zeros(count, 3)
    return SparsePoints(blank, blank, blank[:, 0], views, points, torch.zeros(len(views), 2))


def exact_prior(scene: Scene, cameras: Cameras, images: ImageSet | None = None) -> GeometryPrior:
    """Exact depth, whatever the cameras and the photos say, at full size."""
    shown = [(images or scene.images).read_pixels(photo) for photo in scene.images.photos]
    depths = [torch.from_numpy(np.where(np.isfinite(d), d, 0)).float() for d in scene.depths]
    return GeometryPrior(
        cameras=cameras,
        depths=tuple(ViewDepth(d, (d > 0).float(), (d > 0).long()) for d in depths),
        images=tuple(torch.from_numpy(p / np.float32(255)) for p in shown),
        masks=tuple(torch.ones(d.shape) for d in depths),
        full_cameras=cameras,
        points=points_of({(0, 1): 50, (0, 2): 50, (1, 2): 50}),
        unplaced=(),
        warnings=(),
        source="exact",
        scale_kind="global",
    )


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(3)


def quarantine(scene: Scene, cameras: Cameras | None, images: ImageSet | None = None) -> GeometryPrior:
    """All that the stage does."""
    images = images or scene.images
    prior = SOURCE.estimate_geometry(images, SOURCE.estimate_cameras(images, cameras, seed=0))
    found = fits(prior)
    assert odd_one_out(found, prior.points, CONFIG) == 1
    return without_outliers(prior, found, Quarantine(SOURCE, images, cameras, CONFIG, 0))


def test_photos_of_one_scene_fit(scene):
    for fit in fits(exact_prior(scene, scene.cameras)):
        assert told(fit, CONFIG) and fit.covered > 0.5
        assert fit.agreement > 0.95 and fit.chance < 0.2


@pytest.mark.parametrize("degrees", [3.0, 15.0])
def test_a_turned_camera_does_not_fit(scene, degrees):
    prior = exact_prior(scene, turned(scene.cameras, 1, degrees))
    found = fits(prior)
    assert told(found[1], CONFIG) and abs(found[1].agreement) < 0.1
    assert odd_one_out(found, points_of({(0, 2): 50, (0, 1): 9}), CONFIG) == 1


def test_exposure_does_not_matter_and_another_scene_does(scene):
    bright = exact_prior(scene, scene.cameras)
    images = [image * gain for image, gain in zip(bright.images, (1.0, 0.5, 0.8), strict=True)]
    assert min(fit.agreement for fit in fits(dataclasses.replace(bright, images=tuple(images)))) > 0.95
    found = fits(exact_prior(scene, scene.cameras, with_foreign(scene.images, 1)))
    assert told(found[1], CONFIG) and abs(found[1].agreement) < 0.1


def test_two_photos_tell_nothing(scene):
    prior = exact_prior(scene, scene.cameras)
    two = dataclasses.replace(prior, depths=prior.depths[:2], cameras=prior.cameras.select([0, 1]))
    found = fits(two)
    assert [fit.pixels for fit in found] == [0, 0] and not any(told(fit, CONFIG) for fit in found)
    assert odd_one_out(found, prior.points, CONFIG) is None


def fit_of(agreement: float, agreed: int = 20000, pixels: int = 9000) -> Fit:
    return Fit(pixels=pixels, covered=0.3, alike=0.1 + 0.9 * agreement, chance=0.1, agreed=agreed)


def test_of_several_the_one_goes_without_which_the_others_agree():
    found = [fit_of(0.15, agreed=8000), fit_of(0.05, agreed=20000), fit_of(0.9), fit_of(0.9)]
    assert odd_one_out(found, points_of({(0, 1): 1}), CONFIG) == 1
    little = dataclasses.replace(found[1], pixels=100)
    assert odd_one_out([little, *found[2:], found[3]], points_of({(0, 1): 1}), CONFIG) is None
    assert odd_one_out([fit_of(0.3)] * 4, points_of({(0, 1): 1}), CONFIG) is None


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({(0, 2): 60, (0, 1): 20, (1, 2): 5}, 1),
        ({(0, 2): 60, (0, 1): 40}, None),  # the third is as well linked
        ({(0, 2): 12}, None),  # too few to tell
    ],
)
def test_of_three_the_matches_must_say_the_same(pairs, expected):
    found = [fit_of(0.9), fit_of(0.05), fit_of(0.9)]
    assert odd_one_out(found, points_of(pairs), CONFIG) == expected


def test_of_three_that_all_fit_badly_the_one_goes_that_the_matches_name():
    found = [fit_of(0.05, agreed=8000), fit_of(0.1, agreed=20000), fit_of(0.1)]
    assert odd_one_out(found, points_of({(1, 2): 40, (0, 1): 9}), CONFIG) == 0


def test_what_cannot_be_told_is_kept_with_a_warning(scene):
    prior = exact_prior(scene, scene.cameras)
    result = checked(prior, [fit_of(0.9), fit_of(0.05), fit_of(0.9, pixels=5)], CONFIG)
    assert [check.outcome for check in result.checks] == ["fits", "in doubt", "not told"]
    [sentence] = result.warnings
    assert "cannot be told" in sentence and "photo1.png 5 %" in sentence and "photo0.png" not in sentence


def test_a_given_camera_that_is_turned_is_placed_anew(scene):
    result = quarantine(scene, turned(scene.cameras, 1, 15.0))
    assert result.cameras.names == scene.images.names and result.unplaced == ()
    truth = scene.cameras.cam_from_world[1].double()
    found = result.full_cameras.cam_from_world[1]
    assert float(se3.rotation_angle_deg(found[:3, :3] @ truth[:3, :3].T)) < 0.2
    assert torch.equal(result.full_cameras.cam_from_world[[0, 2]], scene.cameras.cam_from_world[[0, 2]])
    assert result.full_cameras.pose_known == (True, False, True)
    assert [check.outcome for check in result.checks] == ["fits", "placed anew", "fits"]
    check = result.checks[1]
    assert check.turned_deg == pytest.approx(15.0, abs=0.2) and check.moved is not None and check.moved < 0.01
    [sentence] = [w for w in result.warnings if w.startswith("photo1.png")]
    assert "turned by 15.0 degrees" in sentence and "enabled: false" in sentence
    assert all(float((depth.confidence > 0.5).float().mean()) > 0.5 for depth in result.depths)


def test_a_photo_of_something_else_is_left_out(scene):
    result = quarantine(scene, scene.cameras, with_foreign(scene.images, 1))
    assert result.cameras.names == ("photo0.png", "photo2.png")
    [(name, reason)] = result.unplaced
    assert name == "photo1.png" and "does not fit the others" in reason
    assert [check.outcome for check in result.checks] == ["not told", "left out", "not told"]
    [sentence] = [w for w in result.warnings if w.startswith("photo1.png was left out")]
    assert "whether it shows the same scene" in sentence
    assert torch.equal(result.full_cameras.cam_from_world, scene.cameras.cam_from_world[[0, 2]])
    assert result.points.track_views.unique().tolist() == [0, 1]
    assert (result.points.track_points.bincount() == 2).all(), "both see every point that is left"
    for view, exact in zip(result.depths, (scene.depths[0], scene.depths[2]), strict=True):
        sure = (view.confidence > 0.5).numpy()
        truth = cv2.resize(exact, sure.shape[::-1], interpolation=cv2.INTER_NEAREST)
        assert sure.mean() > 0.4 and np.median(abs(view.depth.numpy()[sure] / truth[sure] - 1)) < 0.01


def test_a_pose_that_was_not_given_is_found_again_without_saying_how_far_it_moved(scene):
    """Estimated cameras, one of which went wrong."""
    images = scene.images
    cameras = SOURCE.estimate_cameras(images, None, seed=0)
    wrong = dataclasses.replace(cameras, cameras=turned(cameras.cameras, 1, 15.0))
    prior = SOURCE.estimate_geometry(images, wrong)
    prior = dataclasses.replace(prior, points=points_of({(0, 2): 50, (0, 1): 5}))
    result = without_outliers(prior, fits(prior), Quarantine(SOURCE, images, None, CONFIG, 0))
    assert result.cameras.names == scene.images.names
    assert result.checks[1].outcome == "placed anew" and result.checks[1].turned_deg is None
    assert not any(result.full_cameras.pose_known) and not any(result.full_cameras.intrinsics_known)
    truth = se3.sim3_from_cameras(result.full_cameras.world_from_cam, scene.cameras.world_from_cam)
    moved = se3.apply_sim3_to_cameras(result.full_cameras.cam_from_world, *truth)
    off = se3.rotation_angle_deg(moved[:, :3, :3] @ scene.cameras.cam_from_world[:, :3, :3].transpose(-1, -2))
    assert float(off.max()) < 1.0


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match=r"outliers\.left_out_below is 0\.5"):
        OutlierConfig(left_out_below=0.5)
