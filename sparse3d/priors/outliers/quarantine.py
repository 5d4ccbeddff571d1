"""Photos that do not fit the others are left out, what depended on them is done again, and their place is looked for anew.

After SparseAGS (Zhao et al. 2024, section 3.4), which takes cameras for outliers by the error of the other views with and
without them and searches a new pose for them; here the evidence is the surfaces that the others agree on (`fit`).
"""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sparse3d.core.cameras import Cameras, concatenate
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior, PoseSigmas, SparsePoints
from sparse3d.core.images import ImageSet
from sparse3d.core.photo_check import PhotoCheck
from sparse3d.core.se3 import rotation_angle_deg
from sparse3d.priors.interface import Prior
from sparse3d.priors.outliers.config import OutlierConfig
from sparse3d.priors.outliers.fit import Fit, fits
from sparse3d.priors.outliers.judge import odd_one_out, told
from sparse3d.priors.outliers.words import in_doubt_warning, left_out_reason, left_out_warning, placed_anew_warning

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Quarantine:
    """What leaving out and placing anew works with.

    Attributes:
        source: of cameras, with all that it is given held fixed, and of depth.
        images: all photos.
        given: what the user gave of their cameras, one entry a photo; None for nothing.
        config: settings.
        seed: of the cameras.
    """

    source: Prior
    images: ImageSet
    given: Cameras | None
    config: OutlierConfig
    seed: int


@dataclass(frozen=True)
class Marked:
    """A photo that was left out: its name, how it fitted, and its pose where that was given."""

    name: str
    agreement: float
    pose: torch.Tensor | None


def checked(prior: GeometryPrior, found: Sequence[Fit], config: OutlierConfig) -> GeometryPrior:
    """The prior with what was found of each photo, none of which is left out any more; a warning where some are in doubt."""
    checks = []
    for name, fit in zip(prior.cameras.names, found, strict=True):
        if not told(fit, config):
            checks.append(PhotoCheck(name, "not told"))
        else:
            checks.append(
                PhotoCheck(name, "in doubt" if fit.agreement < config.left_out_below else "fits", fit.agreement)
            )
    doubts = [check for check in checks if check.outcome == "in doubt"]
    warnings = (*prior.warnings, in_doubt_warning(doubts)) if doubts else prior.warnings
    return dataclasses.replace(prior, checks=tuple(checks), warnings=warnings)


def without_outliers(prior: GeometryPrior, found: Sequence[Fit], work: Quarantine) -> GeometryPrior:
    """Leave out what does not fit, do the rest again, and take photos again where a new place fits.

    Args:
        prior: of all photos.
        found: their fits, of which `odd_one_out` marks one.

    Returns:
        A prior with its checks, and a warning about each photo that was left out or moved.
    """
    marked: list[Marked] = []
    while (view := odd_one_out(found, prior.points, work.config)) is not None:
        marked.append(_marked(prior.cameras.names[view], found[view], work))
        logger.info("%s: agreement %.3f, so depth is made without it", marked[-1].name, marked[-1].agreement)
        rest = _without(prior, view)
        prior = work.source.estimate_geometry(work.images.select(rest.cameras.names), rest)
        found = fits(prior)
    prior, back = _placed_anew(prior, marked, work)
    final = checked(prior, fits(prior) if back else found, work.config)
    now = {check.name: check for check in final.checks}
    usual = [c.agreement for c in final.checks if c.agreement is not None and c.name not in back]
    typical = float(np.median(usual)) if usual else None
    gone = {m.name: PhotoCheck(m.name, "left out", m.agreement) for m in marked if m.name not in back}
    checks = now | back | gone
    return dataclasses.replace(
        final,
        checks=tuple(checks[name] for name in work.images.names if name in checks),
        unplaced=(*final.unplaced, *((name, left_out_reason(check, typical)) for name, check in gone.items())),
        warnings=(
            *final.warnings,
            *(placed_anew_warning(check, typical, now[name]) for name, check in back.items()),
            *(left_out_warning(gone[m.name], typical, given=m.pose is not None) for m in marked if m.name in gone),
        ),
    )


def _without(prior: GeometryPrior, view: int) -> CameraPrior:
    """The cameras without one of them. The others stay as they are: that they agree is the evidence against it."""
    rest = [v for v in range(len(prior.full_cameras)) if v != view]
    points, sigmas = prior.points, prior.pose_sigmas
    seen = points.track_views != view
    count = torch.bincount(points.track_points[seen], minlength=len(points.points))
    kept = count >= 2
    seen &= kept[points.track_points]
    views = points.track_views[seen]
    return CameraPrior(
        cameras=prior.full_cameras.select(rest),
        points=SparsePoints(
            points=points.points[kept],
            colours=points.colours[kept],
            errors_px=points.errors_px[kept],
            track_views=torch.where(views > view, views - 1, views),
            track_points=(kept.cumsum(0) - 1)[points.track_points[seen]],
            track_pixels=points.track_pixels[seen],
        ),
        unplaced=prior.unplaced,
        warnings=prior.warnings,
        source=prior.source,
        pose_sigmas=None if sigmas is None else PoseSigmas(sigmas.rotation_deg[rest], sigmas.position[rest]),
    )


def _marked(name: str, fit: Fit, work: Quarantine) -> Marked:
    given = _given(work, [name])
    pose = given.cam_from_world[0] if given is not None and given.pose_known[0] else None
    return Marked(name, fit.agreement, pose)


def _given(work: Quarantine, names: Sequence[str]) -> Cameras | None:
    """What was given of some photos' cameras."""
    return None if work.given is None else work.given.select([work.images.names.index(name) for name in names])


def _placed_anew(
    prior: GeometryPrior, marked: Sequence[Marked], work: Quarantine
) -> tuple[GeometryPrior, dict[str, PhotoCheck]]:
    """The prior with those photos that fit at a new place, and what became of each of them."""
    back: dict[str, PhotoCheck] = {}
    for mark in marked:
        tried = _tried(prior, mark.name, work)
        if tried is None:
            continue
        view = tried.cameras.names.index(mark.name)
        found = fits(tried)[view]
        if not told(found, work.config) or found.agreement < work.config.taken_from:
            logger.info("%s: placed anew, but its agreement is %.3f there", mark.name, found.agreement)
            continue
        prior = tried
        back[mark.name] = _moved(prior, view, mark)
    return prior, back


def _tried(prior: GeometryPrior, name: str, work: Quarantine) -> GeometryPrior | None:
    """The prior with one more photo where its matches put it, the others held; None where they put it nowhere."""
    rest = prior.full_cameras
    images = work.images.select([n for n in work.images.names if n == name or n in rest.names])
    held = rest.replace(pose_known=(True,) * len(rest), intrinsics_known=(True,) * len(rest))
    both = concatenate([held, _unplaced_camera(name, work)])
    order = [both.names.index(n) for n in images.names]
    try:
        found = work.source.estimate_cameras(images, both.select(order), seed=work.seed)
    except InputError as error:
        logger.info("%s: could not be placed anew: %s", name, error)
        return None
    if set(found.cameras.names) != set(images.names):
        logger.info("%s: could not be placed anew: %s", name, dict(found.unplaced).get(name))
        return None
    geometry = work.source.estimate_geometry(images, _freed(found, prior))
    source = prior.source if work.given is None else found.source
    return dataclasses.replace(geometry, unplaced=prior.unplaced, warnings=prior.warnings, source=source)


def _unplaced_camera(name: str, work: Quarantine) -> Cameras:
    """A camera whose pose is to be found, with what was given of its lens."""
    [photo] = work.images.select([name]).photos
    nowhere = torch.full((1, 4, 4), torch.nan, dtype=torch.float64)
    given = _given(work, [name])
    if given is None:
        return Cameras.build(nowhere, nowhere[:, :3, :3].clone(), [photo.size], names=[name])
    return given.replace(cam_from_world=nowhere, pose_known=(False,))


def _freed(found: CameraPrior, rest: GeometryPrior) -> CameraPrior:
    """Cameras with the photo placed anew, the others as free as they were and as sure."""
    cameras, before = found.cameras, rest.full_cameras
    at = {name: i for i, name in enumerate(before.names)}
    poses = tuple(name in at and before.pose_known[at[name]] for name in cameras.names)
    lenses = tuple(
        before.intrinsics_known[at[name]] if name in at else known
        for name, known in zip(cameras.names, cameras.intrinsics_known, strict=True)
    )
    sigmas = found.pose_sigmas
    if sigmas is not None and rest.pose_sigmas is not None:
        rotation, position = sigmas.rotation_deg.clone(), sigmas.position.clone()
        for view, name in enumerate(cameras.names):
            if name in at:
                rotation[view] = rest.pose_sigmas.rotation_deg[at[name]]
                position[view] = rest.pose_sigmas.position[at[name]]
        sigmas = PoseSigmas(rotation, position)
    cameras = cameras.replace(pose_known=poses, intrinsics_known=lenses)
    return dataclasses.replace(found, cameras=cameras, pose_sigmas=sigmas)


def _moved(prior: GeometryPrior, view: int, mark: Marked) -> PhotoCheck:
    """How far a photo stands from where it was given."""
    if mark.pose is None:
        return PhotoCheck(mark.name, "placed anew", mark.agreement)
    pose = prior.full_cameras.cam_from_world[view].double()
    given = mark.pose.double()
    depth = prior.depths[view].depth
    turned = float(rotation_angle_deg(pose[:3, :3] @ given[:3, :3].T))
    shift = (pose[:3, :3].T @ pose[:3, 3] - given[:3, :3].T @ given[:3, 3]).norm()
    return PhotoCheck(mark.name, "placed anew", mark.agreement, turned, float(shift / depth[depth > 0].median()))
