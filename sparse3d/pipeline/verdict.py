"""The report's first sentences: what came out, and how far to trust it."""

from collections.abc import Sequence

import numpy as np

from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.core.photo_check import PhotoCheck
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.pipeline.outputs import TrainedView

GOOD_FIT_DB, POOR_FIT_DB = 32.0, 26.0
"""Training PSNR that fine photos reach when cameras and depth agree, and under which something is wrong with them."""
WELL_SEEN, HARDLY_SEEN = 0.5, 0.2
"""Shares of confident pixels above which the geometry is mostly measured, and below which it is mostly guessed."""
WELL_FIXED_DEG, WELL_FIXED_SHARE = 1.0, 0.02
"""Standard deviations of a camera's direction, and of its position as a share of the distance to the scene, below which depth
from two photos is not spoiled by them."""


def verdict(reconstruction: Reconstruction, prior: GeometryPrior, views: list[TrainedView]) -> tuple[str, ...]:
    """Plain sentences, the most important one first."""
    placed, left_out = len(reconstruction.cameras), len(prior.unplaced)
    unusable = len(reconstruction.provenance.unplaced) - left_out
    sure = sum(v.sure for v in views) / len(views)
    fit = sum(v.psnr for v in views) / len(views)
    sentences = [_headline(placed, left_out, unusable, sure, fit), *_misfits(prior.checks), _geometry(sure), _fit(fit)]
    given = sum(reconstruction.cameras.pose_known)
    if given == placed:
        sentences.append("The cameras were given and kept fixed.")
    elif given >= 2:
        sentences.append(
            f"{given} cameras were given and kept fixed; the others come from the photos ({prior.source})."
        )
        sentences += _cameras(views)
    else:
        sentences.append(f"The cameras come from the photos ({prior.source}); the scale of the scene is not known.")
        sentences += _cameras(views)
    return tuple(sentences)


def _headline(placed: int, left_out: int, unusable: int, sure: float, fit: float) -> str:
    kind = "usable photos" if unusable else "photos"
    photos = f"{placed} of {placed + left_out} {kind} were placed" if left_out else f"All {placed} {kind} were placed"
    if left_out > placed or fit < POOR_FIT_DB or sure < HARDLY_SEEN:
        return f"{photos}, but do not trust this reconstruction without looking closely."
    if fit > GOOD_FIT_DB and sure > WELL_SEEN and not left_out:
        return f"{photos}, and they agree well with each other."
    return f"{photos}; the reconstruction is usable near the photos' own viewpoints."


def _misfits(checks: Sequence[PhotoCheck]) -> list[str]:
    """Which photos did not fit the others, and what became of them; the warnings have the figures."""
    words = {
        "left out": "does not fit what the other photos agree on and was left out",
        "placed anew": "did not fit what the other photos agree on and was placed anew, where it does",
    }
    return [f"{check.name} {words[check.outcome]}." for check in checks if check.outcome in words]


def _cameras(views: list[TrainedView]) -> list[str]:
    """How well the photos fix their cameras: the worst one decides."""
    known = [v for v in views if v.rotation_sigma_deg is not None and v.position_sigma is not None]
    if not known:
        return []
    worst = max(known, key=lambda v: (v.position_sigma or 0) + np.radians(v.rotation_sigma_deg or 0))
    turn, shift = worst.rotation_sigma_deg or 0, worst.position_sigma or 0
    within = f"{turn:.1g} degrees and {100 * shift:.1g} % of the distance to the scene"
    if turn < WELL_FIXED_DEG and shift < WELL_FIXED_SHARE:
        return [f"The photos fix their cameras well: each within about {within}."]
    return [
        f"The photos fix their cameras only roughly: {worst.name} within about {within}. More photos from places between "
        "these, of things with visible texture, would help."
    ]


def _geometry(sure: float) -> str:
    share = f"{100 * sure:.0f} % of the pixels"
    if sure > WELL_SEEN:
        return f"The depth of {share} is confirmed by another photo; the rest is filled in from its surroundings."
    if sure > HARDLY_SEEN:
        return (
            f"The depth of only {share} is confirmed by another photo; the rest is filled in from its surroundings. "
            "Photos taken closer together would help."
        )
    return (
        f"The depth of only {share} is confirmed by another photo: most of the geometry is a guess. Take photos closer "
        "together, of things with visible texture, without moving objects."
    )


def _fit(fit: float) -> str:
    return (
        f"Seen from the photos' own cameras, renderings match the photos with {fit:.1f} dB PSNR. This flatters: only "
        "photos that were left out tell how other views look (sparse3d evaluate)."
    )
