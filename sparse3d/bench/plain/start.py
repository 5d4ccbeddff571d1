"""What plain training starts from: isotropic Gaussians at sparse points (Kerbl et al. 2023, section 5.1)."""

import numpy as np
import torch
from scipy.spatial import cKDTree

from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.geometry_prior import SparsePoints

NEIGHBOURS = 3
OPACITY = 0.1
LEAST_SPACING = 1e-7**0.5
"""In scene units, of points that coincide; 3DGS's code has it."""


def gaussians_at_points(points: SparsePoints) -> GaussianParams:
    """One Gaussian a point, as large as its nearest points are far (root of the mean squared distance).

    Raises:
        ValueError: there are not enough points for that.
    """
    count = len(points.points)
    if count <= NEIGHBOURS:
        raise ValueError(f"{count} points: Gaussians need more than {NEIGHBOURS} to take their sizes from")
    means = points.points.float()
    distances = cKDTree(means.numpy()).query(means.numpy(), k=NEIGHBOURS + 1)[0][:, 1:]
    spacing = torch.from_numpy(np.sqrt((distances**2).mean(1))).float().clamp(min=LEAST_SPACING)
    return GaussianParams(
        means=means,
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=spacing.log()[:, None].repeat(1, 3),
        logit_opacities=torch.full((count,), OPACITY).logit(),
        sh=colour_to_sh0(points.colours.float()),
        confidence=torch.ones(count),
        observations=torch.zeros(count, dtype=torch.int32),
    )
