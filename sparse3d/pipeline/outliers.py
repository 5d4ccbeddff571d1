"""The stage that holds every photo against the others, and leaves out or places anew what does not fit."""

import dataclasses
import logging
from functools import partial

from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.core.images import ImageSet
from sparse3d.io import checkpoints
from sparse3d.io.config_yaml import to_plain
from sparse3d.io.run_folder import RunFolder
from sparse3d.pipeline.config import ReconstructConfig
from sparse3d.pipeline.stages import fingerprint, kept
from sparse3d.priors.outliers.fit import fits
from sparse3d.priors.outliers.judge import MIN_PHOTOS, odd_one_out
from sparse3d.priors.outliers.quarantine import Quarantine, checked, without_outliers
from sparse3d.priors.stereo.prior import StereoPrior

logger = logging.getLogger(__name__)


def outlier_stage(
    run: RunFolder, images: ImageSet, given: Cameras | None, prior: GeometryPrior, key: str, config: ReconstructConfig
) -> tuple[GeometryPrior, str, bool]:
    """Check the photos; what is done again because one does not fit is kept in the run folder.

    Args:
        images: all photos.
        given: what the user gave of their cameras.
        prior: of the depth stage.
        key: of that stage.

    Returns:
        The prior to go on with, one line on the result, and whether that was found done.
    """
    settings = config.outliers
    if len(prior.cameras) < MIN_PHOTOS:
        return prior, f"not checked: of {len(prior.cameras)} photos none can be told to be wrong", False
    found = fits(prior)
    if odd_one_out(found, prior.points, settings) is None:
        prior = checked(prior, found, settings)
        return prior, _line(prior), False
    holding = dataclasses.replace(config.camera, free_known_poses=False, free_known_intrinsics=False)
    work = Quarantine(StereoPrior(holding, config.depth), images, given, settings, config.seed)
    prior, was_there = kept(
        run.stage_path("outliers", fingerprint(key, to_plain(settings))),
        partial(without_outliers, prior, found, work),
        checkpoints.load_geometry_prior,
        checkpoints.save_geometry_prior,
    )
    for sentence in prior.warnings:
        logger.info("%s", sentence)  # the terminal is told by the listener
    return prior, _line(prior), was_there


def _line(prior: GeometryPrior) -> str:
    """One line on all photos."""
    by_outcome = {what: [c.name for c in prior.checks if c.outcome == what] for what in ("left out", "placed anew")}
    agreements = [c.agreement for c in prior.checks if c.outcome == "fits" and c.agreement is not None]
    untold = sum(c.outcome == "not told" for c in prior.checks)
    line = f"{len(agreements)} photos fit the others" if agreements else "the photos overlap too little to be checked"
    if agreements:
        line += f", the least with {100 * min(agreements):.0f} %"
        line += f"; {untold} overlap them too little to tell" if untold else ""
    for what, names in by_outcome.items():
        line += f"; {what}: {', '.join(names)}" if names else ""
    return line
