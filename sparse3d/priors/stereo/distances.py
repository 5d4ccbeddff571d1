"""The distance of a third camera that few points fix, settled by dense stereo.

Of three photos in a row neighbours share many points, and how far the two pairs are apart is left to a handful that all three
show. Blur and a lens that is not ideal weigh as much there as the truth, and a scene that is some percent off may explain the
matches best. Depth knows better: what two photos mean by a surface is confirmed by the third one only where the distances
are right, which then holds for several times as many pixels.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from sparse3d.core.geometry_prior import CameraPrior, PoseSigmas
from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.attempt import Attempt
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.depth import estimate_depth
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.output import to_camera_prior
from sparse3d.priors.stereo.registration import Solution
from sparse3d.priors.stereo.triangulation import triangulate

logger = logging.getLogger(__name__)

FEW_POINTS = 40
"""Points seen by all three photos, from which on these fix the distances."""

FACTORS = 1.08 ** np.arange(-4.0, 5.0)
"""Of the distance found that are tried: a step from the right one about half of the pixels are confirmed still."""

LEAD = 1.5
"""How many times as many pixels another distance must confirm. Right scenes are ahead of their neighbours themselves."""

DISTANCE_SIGMA = 0.03
"""Relative standard deviation of a distance settled so: a third of a step."""

TRIAL_SIDE = 320
"""Larger side of the photos whose depth decides on a distance, in pixels: five seconds a trial on two cores."""

Confirmed = Callable[[Attempt], int]
"""How many pixels' depths are confirmed by two other photos."""


@dataclass(frozen=True)
class MovedView:
    """A view whose distance from another one was settled: their places among the placed views."""

    view: int
    partner: int


def dense_stereo(images: ImageSet, config: CameraConfig, *, max_side: int = TRIAL_SIDE) -> Confirmed:
    """Depth maps of small photos, by their windows alone, and how many of their pixels two other photos confirm."""

    def confirmed(found: Attempt) -> int:
        prior = to_camera_prior(images, None, found.solution, found.tracks, (), (), "trial", config)
        depths = estimate_depth(prior, images, DepthConfig(max_side=max_side, descriptors="none")).depths
        return sum(int((depth.support >= 2).sum()) for depth in depths)

    return confirmed


def settle_distance(found: Attempt, confirmed: Confirmed, config: CameraConfig) -> tuple[Attempt, MovedView | None]:
    """Three photos' scene with the distance between its two pairs that dense stereo confirms.

    Only where few points are seen by all three, and no pose is given.

    Args:
        found: the scene that explains the matches best.
        confirmed: see `Confirmed`; called for each of `FACTORS`.

    Returns:
        The scene and what was moved; `found` itself and None where its distances are as good as any.
    """
    model, structure, tracks = found.solution.model, found.solution.structure, found.tracks
    placed = np.flatnonzero(model.placed).tolist()
    if len(placed) != 3 or not model.pose_free[placed].all():
        return found, None
    sees = np.zeros((len(model.placed), tracks.count), bool)
    sees[tracks.views[structure.inlier], tracks.points[structure.inlier]] = True
    if sees[placed].all(0).sum() >= FEW_POINTS:
        return found, None
    shared = (sees[:, None] & sees[None]).sum(-1)
    third = min(placed, key=lambda view: sum(shared[view, other] for other in placed if other != view))
    partner = max((view for view in placed if view != third), key=lambda view: shared[third, view])
    counts = np.array([confirmed(_at(found, third, partner, factor, config)) for factor in FACTORS], float)
    best = int(counts.argmax())
    if counts[best] < LEAD * max(counts[len(FACTORS) // 2], 1.0):
        return found, None
    factor = FACTORS[best] * np.exp(_peak_offset(counts, best) * np.log(FACTORS[1] / FACTORS[0]))
    logger.info("dense stereo confirms %.2f times the distance of view %d from view %d", factor, third, partner)
    moved = MovedView(placed.index(third), placed.index(partner))
    return _at(found, third, partner, factor, config), moved


def with_uncertain_distance(prior: CameraPrior, moved: MovedView) -> CameraPrior:
    """The prior with the standard deviation of a settled distance added to that of the view's position.

    Args:
        prior: of the three views that `settle_distance` was given.
    """
    if prior.pose_sigmas is None:
        return prior
    centres = prior.cameras.centres
    distance = torch.linalg.norm(centres[moved.view] - centres[moved.partner])
    position = prior.pose_sigmas.position.clone()
    position[moved.view] = torch.hypot(position[moved.view], DISTANCE_SIGMA * distance.to(position.dtype))
    return replace(prior, pose_sigmas=PoseSigmas(prior.pose_sigmas.rotation_deg, position))


def _at(found: Attempt, view: int, partner: int, factor: float, config: CameraConfig) -> Attempt:
    """The scene with a view at so many times its distance from its partner, and points anew."""
    model = found.solution.model
    start = model.centres[partner]
    poses = model.cam_from_world.copy()
    poses[view, :3, 3] = -poses[view, :3, :3] @ (start + factor * (model.centres[view] - start))
    model = model.with_poses(poses)
    structure = triangulate(model, found.tracks, min_angle_deg=config.min_angle_deg)
    return replace(found, solution=Solution(model, structure, found.solution.focal_sigma))


def _peak_offset(counts: np.ndarray, best: int) -> float:
    """Where between its neighbours the peak lies, in steps: a parabola through the logarithms."""
    if not 0 < best < len(counts) - 1:
        return 0.0
    before, top, after = np.log(np.maximum(counts[best - 1 : best + 2], 1.0))
    bend = before - 2 * top + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
