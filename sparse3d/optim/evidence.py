"""What photos say of a Gaussian that was not made from them: evidence on how far it may be wrong before anything is fitted.

Each Gaussian comes from a pixel (or a square of pixels) of one photo, its owner. Drawn without its own Gaussians a photo is
predicted by the others alone: the error is that of leaving one out, at the cost of one rendering a photo.
"""

import dataclasses

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparse3d.core.cameras import Cameras, project
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.render.rasterise import RenderOptions, rasterise

GRID = 0.5
"""Pixels between two places where a Gaussian's centre can fall in its owner's photo: pixels' centres and corners."""
ON_GRID = 1e-3
"""Pixels from the grid that rounding accounts for; centres fall so near to another photo's grid once in 60,000."""
COVERED = 0.5
"""Opacity of the others' Gaussians from which they predict a pixel."""
MIN_WEIGHT = 0.3
"""Blending weights, in pixels, from which a Gaussian's error is known."""
SMOOTHED_PX = 5
"""Side of the window over which errors are averaged: one pixel's error is mostly chance."""
CONTRAST_PX = 7
"""Side of the window over which a photo's contrast is measured."""


def owner_views(params: GaussianParams, cameras: Cameras) -> Int[Tensor, " n"]:
    """The view whose pixels each Gaussian was made from: the one where its centre falls on the grid of pixels, else the nearest.

    Args:
        params: as they start, before any step.
        cameras: of the prior that they were made from.
    """
    best = torch.full((len(params),), torch.inf, dtype=torch.float64)
    owners = torch.zeros(len(params), dtype=torch.int64)
    for view in range(len(cameras)):
        pixels, depth = project(cameras.select([view]), params.means[None].double())
        off = (pixels[0] / GRID - (pixels[0] / GRID).round()).abs().amax(1) * GRID
        off = torch.where(depth[0] > 0, off, torch.inf)
        better = off < best - ON_GRID
        best[better], owners[better] = off[better], view
    return owners


def left_out_errors(
    params: GaussianParams, prior: GeometryPrior, owners: Int[Tensor, " n"], options: RenderOptions
) -> Float[Tensor, " n"]:
    """Mean absolute colour error where photos that did not make a Gaussian show it, drawn without those that they made.

    Returns:
        In [0, 1]; NaN for Gaussians that no other photo shows.
    """
    drawn = params.detached().activate()
    errors, weights = torch.zeros(len(params)), torch.zeros(len(params))
    for view, photo in enumerate(prior.images):
        others = dataclasses.replace(drawn, opacities=drawn.opacities * (owners != view))
        blended = torch.zeros(len(params), 2, requires_grad=True)
        camera = prior.cameras.select([view]).to(torch.float32)
        output = rasterise(others, camera, features=blended, options=options)
        assert output.features is not None  # they were asked for
        alpha = output.alpha[0].detach()
        error = (output.rgb[0].detach() / alpha.clamp(min=COVERED)[..., None] - photo).abs().mean(-1)
        counted = (alpha > COVERED) * prior.masks[view]
        # The gradient to what is blended is, for each Gaussian, the sum over pixels of its weight times this.
        (output.features[0] * torch.stack([_smoothed(error, counted) * counted, counted], -1)).sum().backward()
        assert blended.grad is not None
        errors, weights = errors + blended.grad[:, 0], weights + blended.grad[:, 1]
    return torch.where(weights > MIN_WEIGHT, errors / weights.clamp(min=MIN_WEIGHT), torch.nan)


def contrast_around(params: GaussianParams, prior: GeometryPrior, owners: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Standard deviation of grey values around each Gaussian in its owner's photo: what a small shift would cost."""
    contrast = torch.zeros(len(params))
    for view, photo in enumerate(prior.images):
        grey = cv2.cvtColor(np.ascontiguousarray(photo.float().numpy()), cv2.COLOR_RGB2GRAY)
        mean, square = (cv2.blur(x, (CONTRAST_PX, CONTRAST_PX)) for x in (grey, grey**2))
        spread = torch.from_numpy(np.sqrt(np.maximum(square - mean**2, 0)))
        own = owners == view
        pixels, _ = project(prior.cameras.select([view]), params.means[own][None].double())
        column, row = pixels[0].floor().long().unbind(-1)
        height, width = spread.shape
        contrast[own] = spread[row.clamp(0, height - 1), column.clamp(0, width - 1)]
    return contrast


def _smoothed(values: Float[Tensor, "h w"], counted: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Means over the pixels of a window that count."""
    total, share = (cv2.blur(x.numpy(), (SMOOTHED_PX, SMOOTHED_PX)) for x in (values * counted, counted))
    return torch.from_numpy(total / np.maximum(share, 1e-6))
