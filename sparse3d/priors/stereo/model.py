"""The state of camera estimation: poses and intrinsics as plain arrays, and the camera model's mathematics."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

UNDISTORT_ITERATIONS = 20
"""Fixed-point steps; the lenses allowed here converge by a factor of at least five a step."""


@dataclass(frozen=True)
class Model:
    """Cameras of all photos, placed or not.

    Attributes:
        cam_from_world: NaN where a view is not placed.
        focal: (fx, fy) in full-size pixels.
        centre: principal point (cx, cy) in full-size pixels.
        middle: where the principal point is expected: as given, else the photo's middle.
        distortion: OpenCV's k1, k2, p1, p2.
        lens: the distortion that is expected: as given, else none.
        group: views with the same number share focal length and distortion.
        pose_free, intrinsics_free: what bundle adjustment may change.
        long_side: longer side of each photo in pixels.
        exif_focal: focal length by EXIF in pixels; NaN where unknown.
    """

    cam_from_world: Float[ndarray, "view 4 4"]
    focal: Float[ndarray, "view 2"]
    centre: Float[ndarray, "view 2"]
    middle: Float[ndarray, "view 2"]
    distortion: Float[ndarray, "view 4"]
    lens: Float[ndarray, "view 4"]
    group: Int[ndarray, " view"]
    pose_free: Bool[ndarray, " view"]
    intrinsics_free: Bool[ndarray, " view"]
    long_side: Float[ndarray, " view"]
    exif_focal: Float[ndarray, " view"]

    @property
    def placed(self) -> Bool[ndarray, " view"]:
        return np.isfinite(self.cam_from_world[:, 0, 0])

    @property
    def centres(self) -> Float[ndarray, "view 3"]:
        """Camera centres in the world; NaN where not placed."""
        return -np.einsum("vji,vj->vi", self.cam_from_world[:, :3, :3], self.cam_from_world[:, :3, 3])

    def with_poses(self, cam_from_world: Float[ndarray, "view 4 4"]) -> "Model":
        """The same cameras at other poses."""
        return replace(self, cam_from_world=cam_from_world)

    def with_focal_ratio(self, ratio: float) -> "Model":
        """Free intrinsics reset to a focal length over the longer side, all else as expected."""
        free = self.intrinsics_free[:, None]
        focal = np.where(free, ratio * self.long_side[:, None], self.focal)
        centre = np.where(free, self.middle, self.centre)
        return replace(self, focal=focal, centre=centre, distortion=np.where(free, self.lens, self.distortion))


def distort(
    xy: Float[ndarray, "n 2"], distortion: Float[ndarray, "n 4"]
) -> tuple[Float[ndarray, "n 2"], Float[ndarray, "n 2 2"]]:
    """OpenCV's distortion of normalised image coordinates, and its Jacobian."""
    x, y = xy[:, 0], xy[:, 1]
    k1, k2, p1, p2 = distortion.T
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    slope = 2 * k1 + 4 * k2 * r2
    out = np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], 1
    )
    cross = x * y * slope + 2 * p1 * x + 2 * p2 * y
    jacobian = np.empty((len(xy), 2, 2))
    jacobian[:, 0, 0] = radial + x * x * slope + 2 * p1 * y + 6 * p2 * x
    jacobian[:, 0, 1] = jacobian[:, 1, 0] = cross
    jacobian[:, 1, 1] = radial + y * y * slope + 6 * p1 * y + 2 * p2 * x
    return out, jacobian


def normalise(model: Model, views: Int[ndarray, " n"], pixels: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
    """Undistorted normalised image coordinates (x/z, y/z) of full-size pixels."""
    wanted = (pixels - model.centre[views]) / model.focal[views]
    if not model.distortion.any():
        return wanted
    xy = wanted.copy()
    for _ in range(UNDISTORT_ITERATIONS):
        xy = xy + wanted - distort(xy, model.distortion[views])[0]
    return np.where(np.isfinite(xy), np.clip(xy, -10, 10), wanted)


def to_camera(model: Model, views: Int[ndarray, " n"], points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """World points in the frames of views, point by point."""
    pose = model.cam_from_world[views]
    return np.einsum("nij,nj->ni", pose[:, :3, :3], points) + pose[:, :3, 3]


def project(
    model: Model, views: Int[ndarray, " n"], points: Float[ndarray, "n 3"]
) -> tuple[Float[ndarray, "n 2"], Float[ndarray, " n"]]:
    """Full-size pixels of world points in views, point by point, and their z-depths; pixels behind the camera mean nothing."""
    cam = to_camera(model, views, points)
    depth = cam[:, 2]
    xy = cam[:, :2] / np.where(depth > 0, depth, 1.0)[:, None]
    return distort(xy, model.distortion[views])[0] * model.focal[views] + model.centre[views], depth


def residuals_px(
    model: Model, views: Int[ndarray, " n"], points: Float[ndarray, "n 3"], pixels: Float[ndarray, "n 2"]
) -> tuple[Float[ndarray, "n 2"], Float[ndarray, " n"]]:
    """Reprojection residuals in full-size pixels, and z-depths; the residual is infinite behind the camera."""
    projected, depth = project(model, views, points)
    return np.where((depth > 0)[:, None], projected - pixels, np.inf), depth
