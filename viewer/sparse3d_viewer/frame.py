"""The frame that the page draws in: the world moved, turned and scaled to a size that the browser draws well.

The browser keeps covariances as 16-bit floats and cuts off what is nearer than 0.01 or farther than some thousand
units, so a scene in millimetres or in kilometres cannot be sent as it is. In the display frame a photo looks at things
about `TYPICAL_DISTANCE` away. Several runs share one display frame, so that they are seen from the same place.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras

TYPICAL_DISTANCE = 5.0
"""Display units from a photo's camera to the middle of what it sees."""


@dataclass(frozen=True)
class DisplayFrame:
    """`display = scale * rotation @ (world - origin)`.

    Attributes:
        scale: display units in one unit of the world.
        rotation: (3 3), the identity for the run that the frame was made for.
        origin: (3), in the world.
    """

    scale: float
    rotation: NDArray[np.float64]
    origin: NDArray[np.float64]

    def to_display(self, points_world: NDArray[np.floating]) -> NDArray[np.float64]:
        """World points (n 3) in display units."""
        return self.scale * (np.asarray(points_world, np.float64) - self.origin) @ self.rotation.T

    def to_world(self, points_display: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (n 3) of the page in the world."""
        return np.asarray(points_display, np.float64) @ self.rotation / self.scale + self.origin


def frame_for(means: torch.Tensor, distances: list[float]) -> DisplayFrame:
    """A frame for one scene, with the world's axes.

    Args:
        means: (n 3) centres in the world; their median becomes the origin.
        distances: from each photo to the middle of what it sees, NaN where unknown.
    """
    origin = means.median(0).values if len(means) else torch.zeros(3, dtype=torch.float64)
    known = [d for d in distances if np.isfinite(d)]
    extent = float((means - origin).abs().max()) if len(means) else 0.0
    size = float(np.median(known)) if known else extent
    return DisplayFrame(TYPICAL_DISTANCE / size if size > 0 else 1.0, np.eye(3), origin.double().numpy())


def frame_beside(frame: DisplayFrame, reference: Cameras, other: Cameras) -> DisplayFrame | None:
    """The frame that shows another run at the same place as the reference, by the photos that both have.

    Every run has a world of its own; `core.se3.sim3_from_cameras` takes one into the other.

    Returns:
        None where fewer than two photos with a pose are common to both, or their centres coincide.
    """
    common = [name for name in reference.names if name in other.names]
    pairs = [(reference.names.index(name), other.names.index(name)) for name in common]
    poses = [
        cameras.to(torch.float64).world_from_cam[[pair[side] for pair in pairs]]
        for side, cameras in enumerate((reference, other))
    ]
    placed = torch.stack([p.isfinite().all(-1).all(-1) for p in poses]).all(0)
    try:
        scale, rotation, translation = se3.sim3_from_cameras(poses[1][placed], poses[0][placed])
    except ValueError:
        return None
    if not (bool(torch.isfinite(scale)) and float(scale) > 0):
        return None
    turned = frame.rotation @ rotation.numpy()
    # reference = s R other + t, so display = f.scale * f.R (s R other + t - f.origin).
    origin = rotation.T.numpy() @ (frame.origin - translation.numpy()) / float(scale)
    return DisplayFrame(frame.scale * float(scale), turned, origin)
