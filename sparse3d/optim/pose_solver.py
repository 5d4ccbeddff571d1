"""Cameras and depth adjusted together until the photos agree: Gauss-Newton steps with damping before the Gaussians are made.

Photometric bundle adjustment (Alismail et al. 2016; Engel et al. 2018, section 2.3): thousands of small patches, each with a
depth of its own that is eliminated by the Schur complement, hold all that the photos say of the cameras at once. Adam on the
cameras through the rendering wanders instead: the Gaussians stand where the depth of the *unmoved* cameras put them, and
one photo at a time pulls. A second-order step needs no rate, and four to eight of them are enough.
"""

import logging
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.geometry_prior import GeometryPrior, ViewDepth
from sparse3d.optim.cameras import CameraParameters
from sparse3d.optim.photo_pairs import GreyPhoto, Patches, choose_patches, grey_photos, linearise

logger = logging.getLogger(__name__)

NOISE = 0.03
"""Standard deviation of a residual's grey value: noise, slanted surfaces and gloss."""
CORRELATED = 9.0
"""Residuals of a patch go together: their information is that of so many times fewer."""
DEFAULT_SIGMA = 0.003
"""Along and about each axis, where the prior does not tell how far a camera may be off: shares of the median depth, radians."""
MAX_STEP = 0.02
"""Logarithm of depth by which a patch moves at most in one step."""
SPREAD_PX = 8.0
"""Standard deviation of the window over which the patches' changes of depth are spread to the pixels between them."""


@dataclass(frozen=True)
class PoseSolverConfig:
    """Settings of `solve_cameras`.

    Attributes:
        steps: Gauss-Newton steps; 0 turns it off.
        patches: of each view at most.
        huber: root mean square difference of grey values from which a patch counts less.
        depth_sigma: relative standard deviation of the prior's depth. Wide: that depth was found in these very photos with the
            cameras as they were, and holds them there if it is believed (docs/experiments.md).
        focal_sigma: the same of its focal length.
        damping: share of the diagonal that is added to it (Levenberg 1944; Marquardt 1963), ten times more after a bad step.
    """

    steps: int = 6
    patches: int = 4000
    huber: float = 0.005
    depth_sigma: float = 0.1
    focal_sigma: float = 0.01
    damping: float = 1e-4

    def __post_init__(self) -> None:
        if self.steps < 0 or self.patches < 1:
            raise ValueError(f"pose_solver: steps={self.steps} must not be negative, patches={self.patches} positive")
        for name in ("huber", "depth_sigma", "focal_sigma"):
            if getattr(self, name) <= 0:
                raise ValueError(f"pose_solver.{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True)
class _Problem:
    """All that stays as it is while cameras move."""

    photos: list[GreyPhoto]
    patches: list[Patches]
    sigmas: Float[ndarray, " p"]
    free: ndarray
    config: PoseSolverConfig


@dataclass
class _Equations:
    """Normal equations of the cameras with the depths eliminated, and what gives the depths back."""

    matrix: Float[ndarray, "p p"]
    gradient: Float[ndarray, " p"]
    cost: float
    eliminated: list[tuple[ndarray, ndarray, ndarray]]


def solve_cameras(
    prior: GeometryPrior, config: PoseSolverConfig, *, refine_poses: bool, refine_focal: bool, seed: int
) -> GeometryPrior:
    """The prior with its unknown poses and focal lengths adjusted to the photos, and its depth along with them.

    Known cameras stay, the first one too where none is known, and nothing moves unless the photos agree better afterwards.

    Args:
        prior: cameras and depth to start from.
        seed: of the choice of patches.
    """
    cameras = CameraParameters(prior.cameras, scene_depth=1.0, refine_poses=refine_poses, refine_focal=refine_focal)
    free = np.concatenate([np.repeat(cameras.free_pose.numpy(), 6), cameras.free_focal.numpy()]) > 0
    if config.steps == 0 or not free.any():
        return prior
    problem = _pose_problem(prior, config, free, seed)
    values = np.zeros(len(free))
    factors = [np.zeros(len(patches.depth)) for patches in problem.patches]
    damping, now = config.damping, _equations(problem, cameras, values, factors)
    before = now.cost
    for _ in range(config.steps):
        step, changed = _step(problem, now, values, factors, damping)
        tried = _equations(problem, cameras, values + step, changed)
        if tried.cost >= now.cost:
            damping *= 10
            continue
        values, factors, now, damping = values + step, changed, tried, damping / 3
    logger.info("cameras adjusted to the photos: cost %.4g, before %.4g", now.cost, before)
    _set(cameras, values)
    return replace(
        prior,
        cameras=cameras.apply_to(prior.cameras),
        full_cameras=cameras.apply_to(prior.full_cameras),
        depths=tuple(
            _moved(found, patches, change, info[0])
            for found, patches, change, info in zip(prior.depths, problem.patches, factors, now.eliminated, strict=True)
        ),
    )


def _pose_problem(prior: GeometryPrior, config: PoseSolverConfig, free: ndarray, seed: int) -> _Problem:
    photos, generator = grey_photos(prior), np.random.default_rng(seed)
    patches = [
        choose_patches(prior, photos, view, count=config.patches, generator=generator) for view in range(len(photos))
    ]
    views = len(photos)
    unit = float(np.median(np.concatenate([photo.depth[photo.depth > 0] for photo in photos])))
    position, rotation = np.full(views, DEFAULT_SIGMA * unit), np.full(views, DEFAULT_SIGMA)
    if prior.pose_sigmas is not None:
        whole = prior.pose_sigmas.position.double().numpy(), np.deg2rad(prior.pose_sigmas.rotation_deg.double().numpy())
        told = [sigma / np.sqrt(3) for sigma in whole]  # of each axis
        position, rotation = np.where(told[0] > 0, told[0], position), np.where(told[1] > 0, told[1], rotation)
    poses = np.stack([position] * 3 + [rotation] * 3, 1).ravel()
    sigmas = np.concatenate([poses, np.full(len(free) - len(poses), config.focal_sigma)])
    return _Problem(photos, patches, sigmas, free, config)


def _set(cameras: CameraParameters, values: ndarray) -> None:
    """Parameters in the order of the normal equations: six of each view (translation, rotation), then the focal lengths."""
    views = len(cameras.translation)
    motions = torch.from_numpy(values[: 6 * views].reshape(views, 6))
    with torch.no_grad():
        cameras.translation.copy_(motions[:, :3])
        cameras.rotation.copy_(motions[:, 3:])
        cameras.log_focal.copy_(torch.from_numpy(values[6 * views :]))


def _equations(problem: _Problem, cameras: CameraParameters, values: ndarray, factors: list[ndarray]) -> _Equations:
    """Linearise all pairs of views. Motions add up as if they commuted, which differs from composing them by their product only."""
    _set(cameras, values)
    moved = cameras.apply_to(cameras.start)
    K, poses = moved.K.numpy(), moved.cam_from_world.numpy()
    size, views, config = len(values), len(poses), problem.config
    information = 1 / (NOISE**2 * CORRELATED)
    matrix, gradient = np.diag(1 / problem.sigmas**2), values / problem.sigmas**2
    cost, eliminated = float((values**2 / problem.sigmas**2).sum()), []
    for host, (patches, change) in enumerate(zip(problem.patches, factors, strict=True)):
        by_depth = np.full(len(change), 1 / config.depth_sigma**2)
        right, mixed = change / config.depth_sigma**2, np.zeros((len(change), size))
        cost += float((change**2).sum()) / config.depth_sigma**2
        for other in range(views):
            if other == host:
                continue
            pair = [host, other]
            found = linearise(patches, change, problem.photos[other], K[pair], poses[pair], config.huber)
            at = _columns(cameras, host, other)
            weight = (information * found.weight)[:, None]
            weighted = found.by_cameras * weight[..., None]
            flat = found.by_cameras.reshape(-1, len(at))
            np.add.at(matrix, np.ix_(at, at), weighted.reshape(-1, len(at)).T @ flat)
            np.add.at(gradient, at, weighted.reshape(-1, len(at)).T @ found.residual.ravel())
            by_depth[found.chosen] += (weight * found.by_depth**2).sum(1)
            right[found.chosen] += (weight * found.by_depth * found.residual).sum(1)
            crossed = np.einsum("ck,ckp->cp", found.by_depth, weighted)
            for column, position in enumerate(at):  # the two focal lengths may be one
                mixed[found.chosen, position] += crossed[:, column]
            cost += information * found.cost
            cost += information * 2 * config.huber**2 * found.residual.shape[1] * (len(change) - len(found.chosen))
        scaled = mixed / by_depth[:, None]
        matrix -= scaled.T @ mixed
        gradient -= scaled.T @ right
        eliminated.append((by_depth, right, mixed))
    return _Equations(matrix, gradient, cost, eliminated)


def _columns(cameras: CameraParameters, host: int, other: int) -> ndarray:
    """Where the derivatives by two cameras belong in the normal equations."""
    focal = 6 * len(cameras.group_of_view)
    groups = [focal + cameras.group_of_view[view] for view in (host, other)]
    return np.array([*range(6 * host, 6 * host + 6), *range(6 * other, 6 * other + 6), *groups])


def _step(
    problem: _Problem, now: _Equations, values: ndarray, factors: list[ndarray], damping: float
) -> tuple[ndarray, list[ndarray]]:
    """The damped step of the cameras, and the depths that go with it."""
    free = problem.free
    matrix = now.matrix[np.ix_(free, free)]
    step = np.zeros_like(values)
    step[free] = -np.linalg.solve(matrix + damping * np.diag(np.diag(matrix)), now.gradient[free])
    changed = [
        change - np.clip((right + mixed @ step) / by_depth, -MAX_STEP, MAX_STEP)
        for change, (by_depth, right, mixed) in zip(factors, now.eliminated, strict=True)
    ]
    return step, changed


def _moved(found: ViewDepth, patches: Patches, change: ndarray, information: ndarray) -> ViewDepth:
    """A view's depth with the changes of its patches spread over the pixels around them; far from all patches it stays."""
    height, width = found.depth.shape
    total, weight = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    column, row = patches.pixels[:, 0].astype(int).T
    total[row, column], weight[row, column] = change * information, information
    smooth = [cv2.GaussianBlur(x, (0, 0), SPREAD_PX) for x in (total, weight)]
    floor = np.median(information) / (2 * np.pi * SPREAD_PX**2) if len(information) else 1.0
    factor = np.exp(smooth[0] / (smooth[1] + np.float32(0.1 * floor)))
    return replace(found, depth=found.depth * torch.from_numpy(factor).to(found.depth.dtype))
