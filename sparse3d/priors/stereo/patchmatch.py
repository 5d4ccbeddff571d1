"""PatchMatch over all views: from a surface a view to slanted planes, first by the photos alone, then in agreement."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32

from sparse3d.kernels.patchmatch import Matched, PatchmatchOptions, PlanarPrior, Planes, StereoView, pack_quads, patchmatch
from sparse3d.priors.stereo.plane_sweep import PosedImage
from sparse3d.priors.stereo.view_selection import DepthRange, inverse_step


@dataclass(frozen=True)
class PatchmatchConfig:
    """Settings of the PatchMatch rounds.

    Attributes:
        iterations: of the first round, which knows the photos alone.
        rounds: rounds after it, which know the other views' depths.
        round_iterations: iterations of each of these.
        grey_share: share of the plain difference of grey in the photometric cost.
        geometric_share: cost of disagreeing with another view by `max_error_px` or more.
        max_error_px: at which the cost of disagreeing stops growing.
    """

    iterations: int = 4
    rounds: int = 2
    round_iterations: int = 3
    grey_share: float = 0.15
    geometric_share: float = 0.2
    max_error_px: float = 2.0


@dataclass(frozen=True)
class Task:
    """One view with those that it is matched with.

    Attributes:
        index: of the view.
        neighbours: of the others, best first.
        span: range of inverse depth.
    """

    index: int
    neighbours: tuple[int, ...]
    span: DepthRange


def planes_of(inverse: Float32[np.ndarray, "h w"], relative_edge: float) -> Planes:
    """The planes that a surface's own gradient gives; level ones where it jumps."""
    smooth = cv2.GaussianBlur(inverse, (0, 0), 2.0)
    slope_x, slope_y = (cv2.Scharr(smooth, cv2.CV_32F, *axis) / 32 for axis in ((1, 0), (0, 1)))
    kernel = np.ones((9, 9), np.uint8)
    jump = cv2.dilate(inverse, kernel) - cv2.erode(inverse, kernel) > 4 * relative_edge * inverse
    steep = np.maximum(np.abs(slope_x), np.abs(slope_y)) > relative_edge * inverse
    flat = jump | steep
    return Planes(inverse.copy(), np.where(flat, 0, slope_x), np.where(flat, 0, slope_y))


def match_view(
    task: Task,
    views: Sequence[PosedImage],
    quads: Sequence[np.ndarray],
    start: Planes,
    config: PatchmatchConfig,
    *,
    iterations: int,
    inverses: Sequence[Float32[np.ndarray, "_h _w"]] | None = None,
    visible: Sequence[Float32[np.ndarray, "h w"]] | None = None,
    prior: PlanarPrior | None = None,
) -> Matched:
    """One round of one view."""
    view = views[task.index]
    others = [views[j] for j in task.neighbours]
    maps = [
        np.where(views[j].mask, 0 if inverses is None else inverses[j], -1).astype(np.float32) for j in task.neighbours
    ]
    stereo = [
        _stereo_view(view, other, quads[j], known, None if visible is None else visible[j])
        for other, j, known in zip(others, task.neighbours, maps, strict=True)
    ]
    options = PatchmatchOptions(
        far_inverse=max(task.span.far_inverse, 1e-3 * task.span.near_inverse),
        near_inverse=task.span.near_inverse,
        step=inverse_step(view, others, task.span, 1.0),
        iterations=iterations,
        grey_share=config.grey_share,
        geometric_share=0.0 if inverses is None else config.geometric_share,
        max_error_px=config.max_error_px,
        threads=1,
    )
    return patchmatch(quads[task.index], view.mask, start, stereo, options, prior)


def _stereo_view(
    reference: PosedImage, other: PosedImage, quads: np.ndarray, inverse: np.ndarray, visible: np.ndarray | None
) -> StereoView:
    there, shift = transfer(reference, other)
    back, back_shift = transfer(other, reference)
    to_index = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return StereoView(
        quads=quads,
        homography=to_index @ there,
        shift=to_index @ shift,
        back_homography=back @ np.linalg.inv(to_index),
        back_shift=back_shift,
        inverse=inverse,
        visible=visible,
    )


def transfer(reference: PosedImage, other: PosedImage) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Homography and shift from pixels of one view, with inverse depth, to homogeneous pixels of another."""
    rotation = other.cam_from_world[:3, :3] @ reference.cam_from_world[:3, :3].T
    translation = other.cam_from_world[:3, 3] - rotation @ reference.cam_from_world[:3, 3]
    return other.K @ rotation @ np.linalg.inv(reference.K), other.K @ translation
