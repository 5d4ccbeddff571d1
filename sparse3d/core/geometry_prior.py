"""What a prior says of a scene: cameras and, for each view, depth with its confidence."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.photo_check import PhotoCheck

ScaleKind = Literal["metric", "global", "per_view"]


@dataclass(frozen=True)
class SparsePoints:
    """Triangulated feature points with their tracks.

    Attributes:
        points: in the world.
        colours: in [0, 1].
        errors_px: mean reprojection error, in pixels of the full-size photos.
        track_views, track_points, track_pixels: one entry an observation: the view's index (into the prior's cameras),
            the point's index, and the (x, y) in pixels of the full-size photo as taken (before undistortion).
    """

    points: Float[Tensor, "p 3"]
    colours: Float[Tensor, "p 3"]
    errors_px: Float[Tensor, " p"]
    track_views: Int[Tensor, " o"]
    track_points: Int[Tensor, " o"]
    track_pixels: Float[Tensor, "o 2"]


@dataclass(frozen=True)
class PoseSigmas:
    """How far each camera may be off: standard deviations of the whole vector (root of the summed variances).

    What no photo can tell (where the world's frame lies, and its scale) is left out. 0 for poses that were given.

    Attributes:
        rotation_deg: of the orientation.
        position: of the camera's centre, in scene units.
    """

    rotation_deg: Float[Tensor, " view"]
    position: Float[Tensor, " view"]


@dataclass(frozen=True)
class CameraPrior:
    """The first half of a prior: cameras of the views that could be placed, at the photos' full size.

    Attributes:
        cameras: the placed views only, in the order of the photos.
        points: sparse points, possibly none.
        unplaced: (photo name, reason) of the views left out.
        warnings: sentences for the user.
        source: what made it, for the report, such as "sift+mapper" or "known".
        pose_sigmas: of the cameras; None where the prior does not tell.
    """

    cameras: Cameras
    points: SparsePoints
    unplaced: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    source: str
    pose_sigmas: PoseSigmas | None = None


@dataclass(frozen=True)
class ViewDepth:
    """Depth of one view at the working resolution of that view's undistorted image.

    Attributes:
        depth: z-depth in scene units; 0 where unknown.
        confidence: in [0, 1]; 0 where unknown, low where completed from neighbours rather than observed.
        support: number of other views that agree with the depth at the pixel.
    """

    depth: Float[Tensor, "h w"]
    confidence: Float[Tensor, "h w"]
    support: Int[Tensor, "h w"]


@dataclass(frozen=True)
class GeometryPrior:
    """Cameras and depth in one world frame: all that the rest of the program needs of a prior.

    Attributes:
        cameras: undistorted pinholes at the depth maps' resolution, one a view (sizes may differ between views).
        depths: one a view.
        images: the undistorted photos at the same sizes, sRGB in [0, 1].
        masks: 1 where a pixel counts, 0 where it is masked or outside the undistorted photo.
        full_cameras: the same views at the photos' full size with their distortion.
        points: sparse points, possibly none.
        unplaced, warnings, source, pose_sigmas: as in `CameraPrior`.
        scale_kind: whether scene units are metres, one arbitrary scale, or one a view.
        checks: how each photo fits the others, those left out among them; none before they were checked.
    """

    cameras: Cameras
    depths: tuple[ViewDepth, ...]
    images: tuple[Float[Tensor, "_h _w 3"], ...]
    masks: tuple[Float[Tensor, "_h _w"], ...]
    full_cameras: Cameras
    points: SparsePoints
    unplaced: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    source: str
    scale_kind: ScaleKind
    pose_sigmas: PoseSigmas | None = None
    checks: tuple[PhotoCheck, ...] = ()
