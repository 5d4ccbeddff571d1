"""From depth maps to the first Gaussians: redundant pixels are pruned, flat ones merged, the rest become small flat
discs.

Co-visibility pruning follows InstantSplat (Fan et al. 2024): views are ranked by mean confidence, and what a better
view already explains is dropped from the lesser ones. Free space is respected: filled-in depth may not hang in front
of what another view saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.core.se3 import rotation_to_quat_wxyz
from sparse3d.priors.backdrop import BackdropConfig, backdrop_cells
from sparse3d.priors.merging import Cells, inverse_of, within_budget
from sparse3d.priors.stereo.consistency import AgreementConfig, Comparison, compare
from sparse3d.priors.stereo.plane_sweep import PosedImage


@dataclass(frozen=True)
class InitialiseConfig:
    """Settings of `initialise_gaussians`.

    Attributes:
        max_gaussians: budget; regions of constant colour and smooth depth are merged until it holds.
        explained_depth: relative difference of depth within which a better view explains a pixel.
        comparable_confidence: the better view's confidence there must be at least this share of the pixel's own.
        comparable_footprint: the better view's pixel may be at most this many times larger on the surface.
        free_space: relative distance by which filled-in depth may lie in front of what another view saw.
        observed_confidence: confidence from which a pixel counts as seen rather than filled in.
        unlike_colour: filled-in depth is dropped, too, where another view that should see it shows a colour this
            different.
        black: depth that is less sure than `black_confidence` is dropped, too, where the photo is darker than this (the lightest
            channel around): darkness is drawn where nothing is, looks alike everywhere, so that views agree on it by chance,
            and a wrong depth of it hangs before what it does not belong to.
        black_confidence: see there.
        opacity: of a Gaussian at the start.
        unsure_opacity: the same of one that was filled in rather than seen: kept low at birth (CoherentGS, Paliwal et al. 2024),
            so that it does not hide what stands behind it, and grows where the photos ask for it.
        scale_px: standard deviation in pixels of a Gaussian made from one pixel.
        thickness: standard deviation along the normal relative to the one across.
        max_stretch: how much a slanted disc may be longer than wide.
        colour_tolerance: range of colour in a region that is merged even when the budget does not ask for it.
        backdrop: what stands behind and beside all that the photos show.
    """

    max_gaussians: int = 400_000
    explained_depth: float = 0.015
    comparable_confidence: float = 0.7
    comparable_footprint: float = 1.5
    free_space: float = 0.03
    observed_confidence: float = 0.25
    unlike_colour: float = 0.3
    black: float = 0.1
    black_confidence: float = 0.6
    opacity: float = 0.2
    unsure_opacity: float = 0.03
    scale_px: float = 0.6
    thickness: float = 0.2
    max_stretch: float = 3.0
    colour_tolerance: float = 0.02
    backdrop: BackdropConfig = field(default_factory=BackdropConfig)


def initialise_gaussians(prior: GeometryPrior, config: InitialiseConfig) -> GaussianParams:
    """The Gaussians that a reconstruction starts from: spherical harmonics of degree 0, flat discs along the surface.

    Args:
        prior: cameras, depth with confidence, and images of every view.
        config: settings.

    Returns:
        At most `config.max_gaussians`, with their confidence and number of observing views.

    Raises:
        ValueError: no pixel of any view has a depth.
    """
    views = posed_images(prior)
    keep = covisible_pruning(prior, views, config)
    behind: list[Cells] = []
    if config.backdrop.enabled:
        inverses = [inverse_of(found.depth.numpy()) for found in prior.depths]
        sure = [found.confidence.numpy() >= config.observed_confidence for found in prior.depths]
        behind = backdrop_cells(views, inverses, sure, config.backdrop, max_gaussians=config.max_gaussians)
    budget = max(1, config.max_gaussians - sum(len(cell.x) for cell in behind))
    cells = within_budget(prior, views, keep, budget, config.colour_tolerance)
    if not any(len(cell.x) for cell in cells):
        raise ValueError("no pixel of any view has a depth: nothing to make Gaussians from")
    parts = [_surface(view, cell, config) for view, cell in zip(views, cells, strict=True) if len(cell.x)]
    parts += [_backdrop(view, cell, config) for view, cell in zip(views, behind, strict=False) if len(cell.x)]
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return GaussianParams(**columns)


def posed_images(prior: GeometryPrior) -> list[PosedImage]:
    """The views of a prior as the stereo stages use them."""
    return [
        PosedImage.build(
            prior.images[i].float().numpy(),
            prior.masks[i].numpy() > 0.5,
            prior.cameras.K[i].double().numpy(),
            prior.cameras.cam_from_world[i].double().numpy(),
        )
        for i in range(len(prior.cameras))
    ]


def covisible_pruning(
    prior: GeometryPrior, views: Sequence[PosedImage], config: InitialiseConfig
) -> list[Bool[np.ndarray, "_h _w"]]:
    """Which pixels of each view stay: those with depth that no better view explains, that no view sees through, and that are not
    unsure depth of darkness."""
    depths = [np.where(view.mask, found.depth.numpy(), 0) for view, found in zip(views, prior.depths, strict=True)]
    inverses = [inverse_of(z) for z in depths]
    confidences = [
        np.where(z > 0, d.confidence.numpy(), 0).astype(np.float32) for z, d in zip(depths, prior.depths, strict=True)
    ]
    ranking = sorted(range(len(views)), key=lambda i: -float(confidences[i].mean()))
    tolerance = AgreementConfig(pixel_error=2.0, relative_depth=config.explained_depth)
    blurred = [cv2.blur(view.colour, (5, 5)) for view in views]
    keep = [z > 0 for z in depths]
    for rank, i in enumerate(ranking):
        filled_in = confidences[i] < config.observed_confidence
        keep[i] &= ~((confidences[i] < config.black_confidence) & (blurred[i].max(-1) < config.black))
        for other_rank, j in enumerate(ranking):
            if i == j:
                continue
            found = compare(views[i], inverses[i], views[j], inverses[j], confidences[j], tolerance)
            if other_rank < rank:
                keep[i] &= ~_explained(views[i], views[j], inverses[i], confidences[i], found, config)
            ahead = found.in_front & (inverses[i] > (1 + config.free_space) * found.inverse_depth)
            seen_through = found.confidence >= config.observed_confidence
            unlike = cv2.remap(blurred[j], found.x, found.y, cv2.INTER_LINEAR) - blurred[i]
            seen_through |= np.abs(unlike).max(-1) > config.unlike_colour
            keep[i] &= ~(filled_in & ahead & seen_through)
    return keep


def _explained(
    view: PosedImage,
    better: PosedImage,
    inverse: Float32[np.ndarray, "h w"],
    confidence: Float32[np.ndarray, "h w"],
    found: Comparison,
    config: InitialiseConfig,
) -> Bool[np.ndarray, "h w"]:
    """Where a better view shows the same surface as surely and as finely."""
    present = found.seen & (found.confidence > 0)
    depth = 1 / np.where(inverse > 0, inverse, 1)
    forward = better.cam_from_world[2, :3] @ view.cam_from_world[:3, :3].T
    offset = better.cam_from_world[2, 3] - forward @ view.cam_from_world[:3, 3]
    rays = view.rays()
    there = (rays @ forward.astype(np.float32)) * depth + np.float32(offset)
    finer = there / better.K[0, 0] <= config.comparable_footprint * depth / view.K[0, 0]
    return found.agrees & present & finer & (found.confidence >= config.comparable_confidence * confidence)


def _surface(view: PosedImage, cells: Cells, config: InitialiseConfig) -> dict[str, Tensor]:
    """The columns of `GaussianParams` for what one view shows."""
    seen = cells.confidence >= config.observed_confidence
    opacities = np.where(seen, config.opacity, config.unsure_opacity)
    return _discs(view, cells, config, scale=config.scale_px, opacities=opacities)


def _backdrop(view: PosedImage, cells: Cells, config: InitialiseConfig) -> dict[str, Tensor]:
    """The same for its backdrop."""
    opacities = np.full(len(cells.x), config.backdrop.opacity)
    return _discs(view, cells, config, scale=config.backdrop.scale, opacities=opacities)


def _discs(
    view: PosedImage,
    cells: Cells,
    config: InitialiseConfig,
    *,
    scale: float,
    opacities: Float64[np.ndarray, " n"],
) -> dict[str, Tensor]:
    """The columns of `GaussianParams` for the cells of one view, as flat discs `scale` squares across."""
    focal = 0.5 * (view.K[0, 0] + view.K[1, 1])
    pixels = np.stack([cells.x, cells.y, np.ones_like(cells.x)], -1)
    rays = (pixels @ np.linalg.inv(view.K).T).astype(np.float32)
    rotation = view.cam_from_world[:3, :3]
    means = (rays * cells.depth[:, None] - view.cam_from_world[:3, 3]) @ rotation
    toward = -rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    normal = cells.normal / np.maximum(np.linalg.norm(cells.normal, axis=-1, keepdims=True), 1e-12)
    cosine = np.clip((normal * toward).sum(-1), 1 / config.max_stretch, 1)
    across = np.cross(normal, toward)
    sine = np.linalg.norm(across, axis=-1, keepdims=True)
    fallback = np.cross(normal, np.where(np.abs(normal[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    across = np.where(sine > 1e-3, across, fallback)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    along = np.cross(normal, across)
    axes = np.stack([across, along, normal], -1)
    size = cells.depth / focal * scale * cells.side
    scales = np.stack([size, size / cosine, size * config.thickness], -1)
    as_float: Float[Tensor, "n 3"] = torch.from_numpy(means.astype(np.float32))
    return {
        "means": as_float,
        "quats_wxyz": rotation_to_quat_wxyz(torch.from_numpy(rotation.T @ axes)).float(),
        "log_scales": torch.from_numpy(np.log(np.maximum(scales, 1e-12)).astype(np.float32)),
        "logit_opacities": torch.from_numpy(np.log(opacities / (1 - opacities)).astype(np.float32)),
        "sh": colour_to_sh0(torch.from_numpy(cells.colour)),
        "confidence": torch.from_numpy(cells.confidence),
        "observations": torch.from_numpy(np.where(cells.support > 0, cells.support + 1, 0)),
    }
