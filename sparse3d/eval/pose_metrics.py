"""How far estimated cameras are from true ones, up to the similarity that photos alone cannot tell.

Both sets are aligned by `core.se3.sim3_from_cameras`: the rotation that averages the orientations, then scale and
translation from the centres. All functions take the same views in the same order, as float64 camera-from-world.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from sparse3d.core import se3

AUC_THRESHOLDS_DEG = (3, 5, 10, 30)
"""Upper limits of the error in degrees that the literature reports areas for."""


COINCIDING = 1e-9
"""Centres whose spread is less than this fraction of their distance from the origin differ by rounding alone."""

IN_LINE = 1e-9
"""Centres whose second principal extent squared is less than this share of the first one's lie in a line."""


@dataclass(frozen=True)
class Sim3:
    """The similarity `run = scale * rotation @ true + translation` between two worlds."""

    scale: float
    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, "3"]

    def move_cameras(self, cam_from_true: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
        """True cameras as cameras of the run's world."""
        scale = cam_from_true.new_tensor(self.scale)
        return se3.apply_sim3_to_cameras(cam_from_true, scale, self.rotation, self.translation)


@dataclass(frozen=True)
class PoseMetrics:
    """Errors of the estimated poses.

    Attributes:
        views: number of views compared.
        rotation_deg: angle between estimated and true orientation after alignment, one a view.
        ate_relative: absolute trajectory error, RMS of the distances between the centres in true units, over the RMS
            distance of the true centres from their mean.
        ate: the same before the division, in true units.
        ate_centres: as `ate`, but aligned by the centres alone (Umeyama 1991, as evo and the papers that use it do), blind
            to the orientations and therefore smaller; None where centres alone fix no alignment: fewer than three of them,
            or all in line.
        rpe_rotation_deg, rpe_translation: relative pose error between neighbours in the order of the views (frame
            distance 1, RMS; Sturm et al. 2012): angle, and length in true units after the alignment's scale.
        pair_rotation_deg, pair_direction_deg: errors of the relative rotation, and of the direction of the relative
            translation in [0, 180], median over all pairs of views.
        auc: area under the accuracy curve for each threshold in degrees, see `pose_auc`. Missing views are failures.
        auc_signed: the same with the translation's sign counted.
    """

    views: int
    rotation_deg: tuple[float, ...]
    ate_relative: float
    ate: float
    ate_centres: float | None
    rpe_rotation_deg: float
    rpe_translation: float
    pair_rotation_deg: float
    pair_direction_deg: float
    auc: dict[int, float]
    auc_signed: dict[int, float]


def align_worlds(cam_from_run: Float[Tensor, "n 4 4"], cam_from_true: Float[Tensor, "n 4 4"]) -> Sim3:
    """The similarity that takes the true world into the run's.

    Raises:
        ValueError: fewer than two views, coinciding centres, or centres so wrong that no positive scale fits best.
    """
    for cam_from_world, whose in ((cam_from_run, "estimated"), (cam_from_true, "true")):
        centres = se3.invert(cam_from_world)[:, :3, 3]
        if len(centres) > 1 and _rms(centres - centres.mean(0)) <= COINCIDING * _rms(centres):
            raise ValueError(f"the {whose} camera centres coincide: the worlds cannot be aligned")
    scale, rotation, translation = se3.sim3_from_cameras(se3.invert(cam_from_true), se3.invert(cam_from_run))
    if not (math.isfinite(float(scale)) and float(scale) > 0):
        raise ValueError(f"the best scale between the two worlds is {float(scale):.3g}: the centres fit no alignment")
    return Sim3(float(scale), rotation, translation)


def pose_metrics(
    cam_from_run: Float[Tensor, "n 4 4"], cam_from_true: Float[Tensor, "n 4 4"], *, missing: int = 0
) -> tuple[PoseMetrics, Sim3]:
    """Align the worlds and measure.

    Args:
        missing: number of views that the truth has and the run could not place; every pair with one fails in the AUC.

    Raises:
        ValueError: as in `align_worlds`.
    """
    sim3 = align_worlds(cam_from_run, cam_from_true)
    expected = se3.invert(sim3.move_cameras(cam_from_true))
    found = se3.invert(cam_from_run)
    rotation_deg = se3.rotation_angle_deg(found[:, :3, :3].transpose(-1, -2) @ expected[:, :3, :3])
    true_centres = se3.invert(cam_from_true)[:, :3, 3]
    ate = _rms((found[:, :3, 3] - expected[:, :3, 3]) / sim3.scale)
    angles, directions = pair_errors_deg(cam_from_run, cam_from_true)
    count = len(cam_from_run) + missing
    failed = count * (count - 1) // 2 - len(angles)
    folded = np.minimum(directions, 180 - directions)
    rpe_rotation, rpe_translation = _rpe(cam_from_run, cam_from_true, sim3.scale)
    metrics = PoseMetrics(
        views=len(cam_from_run),
        rotation_deg=tuple(float(angle) for angle in rotation_deg),
        ate_relative=ate / _rms(true_centres - true_centres.mean(0)),
        ate=ate,
        ate_centres=_centres_error(found[:, :3, 3], true_centres),
        rpe_rotation_deg=rpe_rotation,
        rpe_translation=rpe_translation,
        pair_rotation_deg=float(np.median(angles)),
        pair_direction_deg=float(np.median(directions)),
        auc={limit: pose_auc(np.maximum(angles, folded), limit, failed=failed) for limit in AUC_THRESHOLDS_DEG},
        auc_signed={
            limit: pose_auc(np.maximum(angles, directions), limit, failed=failed) for limit in AUC_THRESHOLDS_DEG
        },
    )
    return metrics, sim3


def pair_errors_deg(
    cam_from_run: Float[Tensor, "n 4 4"], cam_from_true: Float[Tensor, "n 4 4"]
) -> tuple[Float[ndarray, " pair"], Float[ndarray, " pair"]]:
    """Errors of the relative poses of all pairs i < j, which no alignment enters.

    Returns:
        The angle between the relative rotations, and the angle in [0, 180] between the directions of the relative
        translations (that of camera j as seen from camera i). Where both baselines vanish the direction is right (0);
        where one does it is as wrong as can be (180).
    """
    pairs = list(itertools.combinations(range(len(cam_from_run)), 2))
    i, j = (torch.tensor([pair[k] for pair in pairs], dtype=torch.long) for k in (0, 1))
    found, true = (poses[i] @ se3.invert(poses)[j] for poses in (cam_from_run, cam_from_true))
    angles = se3.rotation_angle_deg(found[:, :3, :3].transpose(-1, -2) @ true[:, :3, :3])
    a, b = found[:, :3, 3], true[:, :3, 3]
    directions = torch.rad2deg(torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(-1)))
    a_is_zero, b_is_zero = a.norm(dim=-1) == 0, b.norm(dim=-1) == 0
    directions = torch.where(a_is_zero ^ b_is_zero, torch.full_like(directions, 180.0), directions)
    return angles.cpu().numpy(), directions.cpu().numpy()


def pose_auc(errors_deg: Float[ndarray, " pair"], threshold_deg: int, *, failed: int = 0) -> float:
    """Area under the accuracy curve up to a threshold: the mean of the accuracies at 1, 2, ... `threshold_deg` degrees.

    The definition of VGGT's and PoseDiffusion's evaluation (a histogram with bins of one degree, accumulated; the last
    bin includes its upper edge). A pair's error is the larger of the errors of relative rotation and of translation
    direction. In that code the direction has no sign: a camera on the wrong side counts as right; `PoseMetrics.auc`
    follows it, to be comparable, and `auc_signed` counts the sign.

    Args:
        errors_deg: one a pair.
        failed: number of further pairs that have no pose at all.

    Returns:
        In [0, 1]; NaN if there is no pair.
    """
    counts, _ = np.histogram(errors_deg, bins=np.arange(threshold_deg + 1))
    pairs = len(errors_deg) + failed
    return float(np.cumsum(counts / pairs).mean()) if pairs else math.nan


def focal_errors(
    K: Float[Tensor, "n 3 3"],
    sizes: tuple[tuple[int, int], ...],
    K_true: Float[Tensor, "n 3 3"],
    sizes_true: tuple[tuple[int, int], ...],
) -> tuple[float, ...]:
    """Relative error `f / f_true - 1` of each view's focal length.

    f is the mean of fx and fy, each as a fraction of the image's side along its axis, so that the sizes may differ.
    """
    errors = []
    for k, size, k_true, size_true in zip(K, sizes, K_true, sizes_true, strict=True):
        fx, fy = float(k[0, 0]) / size[0] * size_true[0], float(k[1, 1]) / size[1] * size_true[1]
        errors.append((fx + fy) / float(k_true[0, 0] + k_true[1, 1]) - 1)
    return tuple(errors)


def _centres_error(found: Float[Tensor, "n 3"], true: Float[Tensor, "n 3"]) -> float | None:
    """RMS distance after the similarity that fits the found centres to the true ones best (Umeyama 1991, eq. 40 to 42)."""
    a, b = found - found.mean(0), true - true.mean(0)
    u, d, vt = torch.linalg.svd(b.T @ a)
    if len(found) < 3 or d[1] <= IN_LINE * d[0]:
        return None
    sign = torch.ones(3, dtype=d.dtype)
    sign[2] = torch.sign(torch.det(u) * torch.det(vt))
    scale = (d * sign).sum() / (a**2).sum()
    return _rms(scale * a @ (u @ torch.diag(sign) @ vt).T - b)


def _rpe(cam_from_run: Tensor, cam_from_true: Tensor, scale: float) -> tuple[float, float]:
    """RMS of neighbours' relative rotation error in degrees and of their relative translation error in true units."""
    found, true = (poses[:-1] @ se3.invert(poses[1:]) for poses in (cam_from_run, cam_from_true))
    angles = se3.rotation_angle_deg(found[:, :3, :3].transpose(-1, -2) @ true[:, :3, :3])
    # Both translations are in the first camera's axes. evo's residual inverse(true) @ found has this very length.
    lengths = found[:, :3, 3] / scale - true[:, :3, 3]
    return float((angles**2).mean().sqrt()), _rms(lengths)


def _rms(vectors: Tensor) -> float:
    """Root of the mean squared length."""
    return float((vectors**2).sum(-1).mean().sqrt())
