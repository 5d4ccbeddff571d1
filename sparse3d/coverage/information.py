"""How well a picture fixes where each Gaussian is: the Fisher information of its pixels over the position.

For residuals of one variance the information that a picture holds over a Gaussian's centre is J^T J / variance, where J is the
derivative of all its pixels' colours to the centre. The rasteriser's backward pass gives J^T r for any picture r. With r of
independent random signs the expectation of (J^T r)(J^T r)^T is J^T J (Hutchinson 1989): a few such passes estimate the 3x3
matrices of all Gaussians at once, from the same derivatives that the optimisation steps by.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.render_views import covering_pinhole
from sparse3d.render.rasterise import RenderOptions, rasterise

WORKING_SIDE = 256
"""Longer side in pixels of the pictures whose derivatives are taken: a quarter of the time, and noise in neighbouring pixels
of the photos is not independent anyway."""

NOISE_FLOOR = 2 / 255
"""Smallest standard deviation of a residual that is believed: photos are in 8 bits, most of them compressed."""

UNKNOWN_NOISE = 0.05
"""The same where a run holds no history: 26 dB."""


@dataclass(frozen=True)
class ViewInformation:
    """What one picture tells of each Gaussian.

    Attributes:
        position: J^T J over pixels and channels, per squared scene unit; divided by the residuals' variance it is the Fisher
            information.
        weight: sum of the Gaussian's blending weights over the picture, in pixels.
    """

    position: Float[Tensor, "n 3 3"]
    weight: Float[Tensor, " n"]


def working_camera(camera: Cameras) -> Cameras:
    """A view's covering pinhole, shrunk to the working size.

    Args:
        camera: one view, pose and intrinsics known.
    """
    pinhole = covering_pinhole(camera)
    width, height = pinhole.sizes[0]
    factor = min(1.0, WORKING_SIDE / max(width, height))
    return pinhole.resized([(max(1, round(width * factor)), max(1, round(height * factor)))])


def noise_variance(scene: Reconstruction) -> float:
    """Variance of the photos' residuals after training, from the run's history."""
    psnrs = [row["psnr"] for row in scene.history[-1:] if math.isfinite(row.get("psnr", math.nan))]
    return max(NOISE_FLOOR**2, 10 ** (-psnrs[0] / 10) if psnrs else UNKNOWN_NOISE**2)


def view_information(
    gaussians: Gaussians, camera: Cameras, *, probes: int, generator: torch.Generator, options: RenderOptions
) -> ViewInformation:
    """Estimate what a picture tells of each Gaussian's position.

    Args:
        gaussians: as drawn.
        camera: one pinhole; `working_camera` makes it.
        probes: random pictures that are sent back; the relative error of a trace is about sqrt(2 / probes).
        generator: of the random signs.
        options: how to draw; statistics are switched on.
    """
    means = gaussians.means.detach().requires_grad_()
    output = rasterise(
        dataclasses.replace(gaussians, means=means),
        camera.to(means.dtype, means.device),
        options=dataclasses.replace(options, depth=False, median_depth=False, statistics=True),
    )
    assert output.statistics is not None  # asked for
    position = means.new_zeros(len(means), 3, 3)
    for _ in range(probes):
        signs = torch.randint(0, 2, output.rgb.shape, generator=generator).to(output.rgb) * 2 - 1
        (pulled,) = torch.autograd.grad(output.rgb, means, signs, retain_graph=True)
        position += pulled[:, :, None] * pulled[:, None, :]
    return ViewInformation(position / probes, output.statistics.weight_sum[0].detach())


def all_views(
    gaussians: Gaussians, cameras: Cameras, *, probes: int, generator: torch.Generator, options: RenderOptions
) -> tuple[ViewInformation, ...]:
    """`view_information` of each camera at its working size."""
    return tuple(
        view_information(
            gaussians, working_camera(cameras.select([i])), probes=probes, generator=generator, options=options
        )
        for i in range(len(cameras))
    )


def position_covariance(
    information: Sequence[Float[Tensor, "n 3 3"]], variance: float, prior_sigma: Float[Tensor, " n"]
) -> Float[Tensor, "n 3 3"]:
    """Covariance of each Gaussian's position: the inverse of all pictures' information and of what was known before.

    It is the bound of Cramer and Rao for residuals that are independent: no estimate is better, most are worse.

    Args:
        information: `ViewInformation.position` of the pictures that were taken; possibly none.
        variance: of the residuals.
        prior_sigma: standard deviation along each axis where no picture tells anything, in scene units.
    """
    known = torch.diag_embed((1 / prior_sigma.double() ** 2)[:, None].expand(-1, 3))
    for part in information:
        known = known + part.double() / variance
    return _inverse(known).to(prior_sigma.dtype)


def _inverse(matrices: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
    """Of symmetric ones, by cofactors: ten times as fast as a general solver."""
    a, b, c = matrices.unbind(-1)
    cofactors = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], 1)
    return cofactors / (a * cofactors[:, 0]).sum(-1)[:, None, None]
