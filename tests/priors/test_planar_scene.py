"""Photos of one plane, such as a facade: from three of them the cameras come out right, and what two do not tell is said."""

import cv2
import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.priors.stereo.cameras import estimate_cameras
from sparse3d.priors.stereo.config import CameraConfig

from .camera_scene import FOCAL_PX, SIZE, image_set, look_at, texture

SIFT = CameraConfig(features="sift")
DISTANCE, PIXELS_PER_UNIT, TEXTURE_SIDE = 6.0, 150, 2048


def photo(cam_from_world: np.ndarray) -> np.ndarray:
    """The textured plane z = DISTANCE."""
    K = np.array([[FOCAL_PX, 0, SIZE[0] / 2], [0, FOCAL_PX, SIZE[1] / 2], [0, 0, 1]])
    x, y, z = cam_from_world[:3, :3].T
    pixel_from_plane = K @ np.stack([x, y, z * DISTANCE + cam_from_world[:3, 3]], 1)
    middle = TEXTURE_SIDE / 2
    texture_from_plane = np.array([[PIXELS_PER_UNIT, 0, middle], [0, PIXELS_PER_UNIT, middle], [0, 0, 1]])
    to_index = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # OpenCV puts pixel centres at whole numbers
    warp = to_index @ pixel_from_plane @ np.linalg.inv(texture_from_plane)
    return np.asarray(cv2.warpPerspective(texture(3, TEXTURE_SIDE), warp, SIZE, flags=cv2.INTER_AREA), np.uint8)


def relative_turn_errors(found: torch.Tensor, poses: list[np.ndarray]) -> torch.Tensor:
    true = torch.from_numpy(np.stack(poses))
    between = [p[1:, :3, :3] @ p[0, :3, :3].T for p in (found, true)]
    return se3.rotation_angle_deg(between[0] @ between[1].transpose(-1, -2))


@pytest.mark.parametrize("half_angle", ["11 degrees", "30 degrees"])
def test_three_photos_from_different_directions(half_angle):
    x, z = {"11 degrees": (1.2, 0.0), "30 degrees": (3.0, 1.0)}[half_angle]
    centres = [(-x, -0.3, z), (0.0, -0.6, 0.3), (x, -0.3, z + 0.1)]
    poses = [look_at(centre, (0.0, 0.0, DISTANCE)) for centre in centres]
    prior = estimate_cameras(image_set([photo(p) for p in poses]), None, SIFT, seed=0)
    assert len(prior.cameras) == 3 and prior.warnings == ()
    assert float(prior.cameras.K[0, 0, 0]) == pytest.approx(FOCAL_PX, rel=0.02)
    assert relative_turn_errors(prior.cameras.cam_from_world, poses).max() < 0.2


@pytest.mark.parametrize("count", [2, 3])
def test_photos_that_leave_the_focal_length_open_say_so(count):
    if count == 2:
        poses = [look_at(centre, (0.0, 0.0, DISTANCE)) for centre in [(-3.0, -0.3, 1.0), (3.0, -0.3, 1.1)]]
    else:  # squarely before it, the camera moved along it
        poses = [np.eye(4) for _ in range(3)]
        for pose, shift in zip(poses, [(-0.8, 0.0), (0.0, -0.2), (0.8, 0.1)], strict=True):
            pose[:2, 3] = np.negative(shift)
    prior = estimate_cameras(image_set([photo(p) for p in poses]), None, SIFT, seed=0)
    assert any("hardly determine the focal length" in w for w in prior.warnings)
    assert prior.pose_sigmas is not None
    errors = relative_turn_errors(prior.cameras.cam_from_world, poses)
    assert float(errors.max()) < 2 * float(prior.pose_sigmas.rotation_deg.max())
