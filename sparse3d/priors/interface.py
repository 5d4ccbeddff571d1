"""What every prior offers to the pipeline."""

from typing import Protocol, runtime_checkable

from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior
from sparse3d.core.images import ImageSet


@runtime_checkable
class Prior(Protocol):
    """Geometry of a scene from its photos: first cameras, then depth in the same world frame."""

    @property
    def name(self) -> str:
        """Short name for settings and reports, such as "stereo"."""
        ...

    def estimate_cameras(self, images: ImageSet, known: Cameras | None, *, seed: int) -> CameraPrior:
        """Cameras of the photos that can be placed, with what is known of them held fixed.

        Raises:
            InputError: fewer than two views can be placed; the message says what to do.
        """
        ...

    def estimate_geometry(self, images: ImageSet, cameras: CameraPrior) -> GeometryPrior:
        """Depth and confidence of the placed views."""
        ...
