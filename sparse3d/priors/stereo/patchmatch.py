"""PatchMatch over all views: from a surface a view to slanted planes, first by the photos alone, then in agreement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt32

from sparse3d.kernels.cuda_patchmatch import patchmatch_cuda
from sparse3d.kernels.patchmatch import (
    WORST_COST,
    Matched,
    PatchmatchOptions,
    PlanarPrior,
    Planes,
    StereoView,
    patchmatch,
)
from sparse3d.priors.stereo.plane_sweep import PosedImage, combine_costs
from sparse3d.priors.stereo.view_selection import Task, inverse_step


@dataclass(frozen=True)
class Round:
    """One round of PatchMatch over all views.

    Attributes:
        iterations: of the kernel.
        reach: perturbation of inverse depth in the first of them, in pixels of the other views; halved in each.
        geometric_share: cost of disagreeing with another view by `max_error_px` or more; 0 looks at the photos alone.
        prior_weight: cost of lying two pixels off the surface that the stage starts from: it decides where texture
            does not.
    """

    iterations: int
    reach: float
    geometric_share: float
    prior_weight: float


@dataclass(frozen=True)
class PatchmatchConfig:
    """Settings of the PatchMatch pass: stages of rounds, after each of which the views are compared and completed.

    Attributes:
        first_iterations, first_reach: of the first round, which looks at the photos alone.
        iterations: of each later round.
        reaches: perturbation of inverse depth in each later round of each stage, in pixels of the other views.
        first_prior_weight, prior_weight: cost of lying two pixels off the surface that the stage starts from, in the
            first stage, whose surface is coarse, and in later ones: it decides where texture does not.
        geometric_share: cost of disagreeing with another view by `max_error_px` or more.
        max_error_px: at which the cost of disagreeing stops growing.
        grey_share: share of the plain difference of grey in the photometric cost.
    """

    first_iterations: int = 4
    first_reach: float = 4.0
    iterations: int = 3
    reaches: tuple[tuple[float, ...], ...] = ((2.0, 1.0), (2.0,), (1.0,))
    first_prior_weight: float = 0.07
    prior_weight: float = 0.1
    geometric_share: float = 0.2
    max_error_px: float = 2.0
    grey_share: float = 0.05

    @property
    def stages(self) -> tuple[tuple[Round, ...], ...]:
        """The rounds of each stage."""
        first = Round(self.first_iterations, self.first_reach, 0.0, self.first_prior_weight)
        weights = (self.first_prior_weight, *[self.prior_weight] * (len(self.reaches) - 1))
        later = [
            tuple(Round(self.iterations, reach, self.geometric_share, weight) for reach in stage)
            for stage, weight in zip(self.reaches, weights, strict=True)
        ]
        return ((first, *later[0]), *later[1:])


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
    quads: Sequence[UInt32[np.ndarray, "_h _w"]],
    start: Planes,
    prior: PlanarPrior,
    visible: Mapping[int, Float32[np.ndarray, "h w"]],
    inverses: Sequence[Float32[np.ndarray, "_h _w"]] | None,
    settings: Round,
    config: PatchmatchConfig,
    *,
    threads: int,
    device: Literal["cpu", "cuda"],
) -> Matched:
    """One round of one view.

    Args:
        task: the view and its neighbours.
        views: all of them.
        quads: their grey images.
        start: the view's planes.
        prior: planes to be tried and preferred.
        visible: weight of every neighbour at each pixel of this one.
        inverses: all views' inverse depths; None when only the photos count.
        settings, config: of the round and of the pass.
        threads: of the kernel on the CPU.
        device: that the kernel runs on.
    """
    view = views[task.index]
    others = [views[j] for j in task.neighbours]
    known = [np.where(views[j].mask, 0 if inverses is None else inverses[j], -1) for j in task.neighbours]
    stereo = [
        _stereo_view(view, other, quads[j], surface.astype(np.float32), visible[j])
        for other, j, surface in zip(others, task.neighbours, known, strict=True)
    ]
    options = PatchmatchOptions(
        far_inverse=max(task.span.far_inverse, 1e-3 * task.span.near_inverse),
        near_inverse=task.span.near_inverse,
        step=inverse_step(view, others, task.span, 1.0),
        reach=settings.reach,
        iterations=settings.iterations,
        grey_share=config.grey_share,
        geometric_share=0.0 if inverses is None else settings.geometric_share,
        max_error_px=config.max_error_px,
        threads=threads,
    )
    match = patchmatch_cuda if device == "cuda" else patchmatch
    return match(quads[task.index], view.mask, start, stereo, options, prior)


def photometric_cost(found: Matched) -> Float32[np.ndarray, "h w"]:
    """Cost in [0, 1] over the views that see each pixel, the better ones counting more."""
    seen = found.view_costs < WORST_COST
    costs = np.minimum(found.view_costs, 1).astype(np.float32)
    return combine_costs(list(costs), list(seen.astype(np.float32))).astype(np.float32)


def _stereo_view(
    reference: PosedImage, other: PosedImage, quads: np.ndarray, inverse: np.ndarray, visible: np.ndarray | None
) -> StereoView:
    there, shift = _transfer(reference, other)
    back, back_shift = _transfer(other, reference)
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


def _transfer(reference: PosedImage, other: PosedImage) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Homography and shift from pixels of one view, with inverse depth, to homogeneous pixels of another."""
    rotation = other.cam_from_world[:3, :3] @ reference.cam_from_world[:3, :3].T
    translation = other.cam_from_world[:3, 3] - rotation @ reference.cam_from_world[:3, 3]
    return other.K @ rotation @ np.linalg.inv(reference.K), other.K @ translation
