"""What an evaluation measures, and against what."""

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from sparse3d.eval import lpips
from sparse3d.eval.refine_pose import RefineConfig
from sparse3d.render.rasterise import RenderOptions

ReadImage = Callable[[str], UInt8[ndarray, "_h _w 3"] | Float[ndarray, "_h _w 3"]]
ReadMask = Callable[[str], Bool[ndarray, "_h _w"] | None]
ReadDepth = Callable[[str], Float[ndarray, "_h _w"] | None]


@dataclass(frozen=True)
class EvaluateConfig:
    """What is measured.

    Attributes:
        refine: the rule for refining test poses; None leaves the second set of figures out.
        training: score the photos that the run was made from, too.
        max_held_out: at most so many held-out photos, evenly spread over all; None takes all.
        lpips_nets: networks to measure LPIPS by.
        covered: score the part of each held-out photo that a training view saw, too.
        surface_thresholds: of the F-score against a true surface, as fractions of the surface's diagonal.
        options: of the rasteriser.
    """

    refine: RefineConfig | None = field(default_factory=RefineConfig)
    training: bool = True
    max_held_out: int | None = None
    lpips_nets: tuple[lpips.Net, ...] = lpips.NETS
    covered: bool = True
    surface_thresholds: tuple[float, ...] = (0.005, 0.01, 0.02)
    options: RenderOptions = field(default_factory=RenderOptions)


@dataclass(frozen=True)
class FurtherTruth:
    """What is known of a scene beside true cameras and photos; each part may be absent.

    Attributes:
        read_mask: where the object is in the photo of a name, at the photo's size; None for a photo without a mask.
        read_depth: true z-depth of a name, 0 where unknown, in the unit of the true cameras; None for a photo without one.
            Its size may be a scaled one of the camera's.
        surface: points of the true surface, in the world of the true cameras.
    """

    read_mask: ReadMask | None = None
    read_depth: ReadDepth | None = None
    surface: Float[ndarray, "n 3"] | None = None
