"""3D Gaussians: what is optimised (`GaussianParams`) and what is drawn (`Gaussians`)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SH_C0 = 0.28209479177387814
"""The constant spherical harmonic, 1 / (2 sqrt(pi))."""


@dataclass(frozen=True)
class Gaussians:
    """Activated Gaussians, ready for `render.rasterise`.

    Attributes:
        means: centres in the world.
        quats_wxyz: rotations of the principal axes; the rasteriser normalises them.
        scales: standard deviations along the principal axes, in scene units.
        opacities: in [0, 1].
        sh: spherical-harmonics coefficients, k = 1, 4, 9 or 16; colour = max(0, sum_k sh_k Y_k(direction) + 0.5).
    """

    means: Float[Tensor, "n 3"]
    quats_wxyz: Float[Tensor, "n 4"]
    scales: Float[Tensor, "n 3"]
    opacities: Float[Tensor, " n"]
    sh: Float[Tensor, "n k 3"]

    def __len__(self) -> int:
        return len(self.means)


@dataclass(frozen=True)
class GaussianParams:
    """Gaussians in the unbounded form that an optimiser steps in, with what is known of each.

    Attributes:
        means: centres in the world.
        quats_wxyz: rotations, not necessarily normalised.
        log_scales: natural logarithm of the standard deviations.
        logit_opacities: logit of the opacities.
        sh: spherical-harmonics coefficients, k = 1, 4, 9 or 16.
        confidence: in [0, 1], how sure the prior was of the position.
        observations: number of views that the prior saw it in (0: filled in, seen by none with certainty).
    """

    means: Float[Tensor, "n 3"]
    quats_wxyz: Float[Tensor, "n 4"]
    log_scales: Float[Tensor, "n 3"]
    logit_opacities: Float[Tensor, " n"]
    sh: Float[Tensor, "n k 3"]
    confidence: Float[Tensor, " n"]
    observations: Int[Tensor, " n"]

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in dataclasses.fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"GaussianParams: fields of different lengths {lengths}")

    def __len__(self) -> int:
        return len(self.means)

    def activate(self) -> Gaussians:
        """The Gaussians that these parameters stand for."""
        return Gaussians(self.means, self.quats_wxyz, self.log_scales.exp(), self.logit_opacities.sigmoid(), self.sh)

    def select(self, keep: Bool[Tensor, " n"] | Int[Tensor, " m"]) -> "GaussianParams":
        """Some of the Gaussians, by a mask or by indices."""
        return GaussianParams(**{f.name: getattr(self, f.name)[keep] for f in dataclasses.fields(self)})

    def replace(self, **changes) -> "GaussianParams":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def detached(self) -> "GaussianParams":
        """A copy that shares no memory and carries no gradient."""
        return GaussianParams(**{f.name: getattr(self, f.name).detach().clone() for f in dataclasses.fields(self)})


def concatenate_params(parts: Sequence[GaussianParams]) -> GaussianParams:
    """Gaussians behind Gaussians, all of one degree of spherical harmonics."""
    names = [f.name for f in dataclasses.fields(GaussianParams)]
    return GaussianParams(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def colour_to_sh0(colour: Float[Tensor, "n 3"]) -> Float[Tensor, "n 1 3"]:
    """The constant coefficient that shows a colour in [0, 1] from everywhere."""
    return ((colour - 0.5) / SH_C0)[:, None, :]


def with_sh_degree(params: GaussianParams, degree: int) -> GaussianParams:
    """Cut or zero-pad the spherical harmonics to a degree of 0 to 3."""
    if not 0 <= degree <= 3:
        raise ValueError(f"spherical harmonics of degree {degree}: only 0 to 3 are supported")
    wanted, held = (degree + 1) ** 2, params.sh.shape[1]
    sh = params.sh[:, : min(wanted, held)]
    if wanted > held:
        sh = torch.cat([sh, sh.new_zeros(len(sh), wanted - held, 3)], dim=1)
    return params.replace(sh=sh)
