"""The built-in prior: structure from motion, then plane-sweep stereo. It needs no download."""

import dataclasses
from dataclasses import dataclass, field

from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior
from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.cameras import estimate_cameras
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.depth import estimate_depth
from sparse3d.priors.stereo.depth_config import DepthConfig


@dataclass(frozen=True)
class StereoPrior:
    """Implements `priors.interface.Prior` by the two functions of this package."""

    camera: CameraConfig = field(default_factory=CameraConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)

    @property
    def name(self) -> str:
        return "stereo"

    def estimate_cameras(self, images: ImageSet, known: Cameras | None, *, seed: int) -> CameraPrior:
        prior = estimate_cameras(images, known, self.camera, seed=seed)
        cameras, none = prior.cameras, (False,) * len(prior.cameras)
        # What the user frees is a starting point here and for the optimiser alike.
        cameras = cameras.replace(
            pose_known=none if self.camera.free_known_poses else cameras.pose_known,
            intrinsics_known=none if self.camera.free_known_intrinsics else cameras.intrinsics_known,
        )
        return dataclasses.replace(prior, cameras=cameras)

    def estimate_geometry(self, images: ImageSet, cameras: CameraPrior) -> GeometryPrior:
        return estimate_depth(cameras, images, self.depth)
