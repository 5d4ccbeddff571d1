"""Neighbours move together: a small convolutional decoder moves Gaussians along their pixels' rays.

CoherentGS (Paliwal et al. 2024, its single-view constraint): every Gaussian belongs to a pixel of one photo, and a decoder of that
pixel's coordinates gives the residual of its depth, one map for each of a few layers of depth, so that neighbours on one surface
get like residuals and neighbours across an edge need not. Here the decoder is far coarser than the photo, and shared by all views
but for a latent grid of each; the Gaussians keep small steps of their own beside it. It stops at a share of the
iterations (`until`), and what is left is fine detail, for which Gaussians are free.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparse3d.core.gaussians import GaussianParams, Gaussians
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.camera_adam import CameraAdam, Rate
from sparse3d.optim.terms.coherence_owners import Owners, layer_bounds, owners_of
from sparse3d.optim.terms.interface import Edit, Step, Term

LATENTS, HIDDEN = 8, 16
"""Channels of the latent grid and of the decoder: it is to be smooth, not to hold detail."""
LAST_SHARE = 0.1
"""Of the decoder's rate, left at the end."""


@dataclass(frozen=True)
class CoherenceConfig:
    """Settings of `Coherence`.

    Attributes:
        reach: largest residual, as a share of the depth; 0 turns it off.
        rate: Adam's first step of the decoder.
        rows: of the latent grid of a photo, a fourth of those of the residual maps; columns follow by the photo's shape.
        layers: of depth, in each photo as many Gaussians in one as in the other.
        until: share of the iterations after which the decoder stands still.
        spare_confident: Gaussians move by 1 - confidence of the residual.
    """

    reach: float = 0.0
    rate: float = 0.003
    rows: int = 12
    layers: int = 4
    until: float = 0.7
    spare_confident: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.reach < 1 or not 0 <= self.until <= 1:
            raise ValueError(f"coherence: reach={self.reach} must lie in [0, 1) and until={self.until} in [0, 1]")
        if self.rows < 2 or self.layers < 1:
            raise ValueError(f"coherence: rows={self.rows} must be at least 2 and layers={self.layers} at least 1")


class Decoder(nn.Module):
    """A latent grid for each view, and convolutions that make it 4 times as fine; it begins at residuals of 0."""

    def __init__(self, views: int, rows: int, columns: int, layers: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def convolution(inputs: int, outputs: int) -> nn.Conv2d:
            made = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")
            made.weight.data.copy_(torch.randn(made.weight.shape, generator=generator) * (2 / (9 * inputs)) ** 0.5)
            nn.init.zeros_(made.get_parameter("bias"))
            return made

        self.latents = nn.Parameter(0.1 * torch.randn(views, LATENTS, rows, columns, generator=generator))
        self.first, self.second = convolution(LATENTS + 2, HIDDEN), convolution(HIDDEN, HIDDEN)
        self.last = convolution(HIDDEN, layers)
        nn.init.zeros_(self.last.weight)
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
        self.register_buffer("coordinates", torch.stack([xs, ys])[None].repeat(views, 1, 1, 1), persistent=False)

    def forward(self) -> Float[Tensor, "view layer h w"]:
        """In [-1, 1]."""
        x = torch.relu(self.first(torch.cat([self.latents, self.get_buffer("coordinates")], 1)))
        x = torch.relu(self.second(_finer(x)))
        return torch.tanh(self.last(_finer(x)))


def _finer(x: Float[Tensor, "view c h w"]) -> Float[Tensor, "view c h2 w2"]:
    return nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Coherence(Term):
    """Moves the Gaussians along their owners' rays by a decoded share of their depth.

    The residual is part of the Gaussians' centres at all times: a step shows the decoder their gradients (`draw`), and once
    the decoder has moved, the centres follow by the difference (`after_backward`).
    """

    def __init__(self, config: CoherenceConfig, prior: GeometryPrior, params: GaussianParams) -> None:
        self.config, self.prior = config, prior
        width, height = prior.cameras.sizes[0]
        columns = max(2, round(config.rows * width / height))
        self.decoder = Decoder(len(prior.cameras), config.rows, columns, config.layers)
        names = dict(self.decoder.named_parameters())
        self.adam = CameraAdam(names, {name: Rate(config.rate, LAST_SHARE) for name in names})
        self.bounds = layer_bounds(prior, config.layers)
        self.owners = owners_of(params, prior, self.bounds)
        self._residuals: Float[Tensor, " n"] | None = None

    def draw(self, step: Step, gaussians: Gaussians) -> Gaussians:
        """The same picture, differentiable to the decoder."""
        self._residuals = None
        if step.done > self.config.until:
            return gaussians
        self._residuals = self._decode(step)
        centres = step.prior.cameras.centres.to(gaussians.means.dtype)[self.owners.views]
        rays = (gaussians.means - centres).detach()
        shift = (self._residuals - self._residuals.detach())[:, None]
        return replace(gaussians, means=gaussians.means + shift * rays)

    def _decode(self, step: Step) -> Float[Tensor, " n"]:
        """Of each Gaussian, as a share of its distance from the owner."""
        maps = self.decoder()
        volume = maps.reshape(1, 1, -1, *maps.shape[2:])
        slices = self.owners.views * maps.shape[1] + self.owners.layers
        depth = 2 * (slices.to(maps.dtype) + 0.5) / volume.shape[2] - 1
        points = torch.cat([self.owners.pixels, depth[:, None]], 1)[None, None, None]
        found = nn.functional.grid_sample(volume, points, padding_mode="border", align_corners=False).reshape(-1)
        freedom = 1 - step.confidence if self.config.spare_confident else 1.0
        return self.config.reach * freedom * found

    @torch.no_grad()
    def after_backward(self, step: Step) -> None:
        """The decoder steps, and the centres follow it."""
        if self._residuals is None:
            return
        self.adam.step(step.done)
        self.adam.forget_gradients()
        change = (1 + self._decode(step)) / (1 + self._residuals.detach())
        centres = step.prior.cameras.centres.to(change.dtype)[self.owners.views]
        means = step.gaussians.means
        means.copy_(centres + change[:, None] * (means - centres))

    def edited(self, edit: Edit) -> None:
        """New Gaussians get owners; they stand where the decoder already is."""
        owners = self.owners.select(edit.keep)
        self.owners = owners if edit.added is None else owners.joined(owners_of(edit.added, self.prior, self.bounds))

    def arrays(self) -> dict[str, np.ndarray]:
        """The decoder, its moments, and who owns what: Gaussians have moved since."""
        return (
            {f"decoder.{name}": p.detach().numpy().copy() for name, p in self.decoder.named_parameters()}
            | {f"adam.{name}": array for name, array in self.adam.arrays().items()}
            | {f"owners.{name}": t.numpy().copy() for name, t in vars(self.owners).items()}
        )

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to a saved state."""

        def under(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        for name, parameter in self.decoder.named_parameters():
            parameter.data.copy_(torch.from_numpy(under("decoder.")[name]))
        self.adam.restore(under("adam."))
        self.owners = Owners(**{name: torch.from_numpy(array.copy()) for name, array in under("owners.").items()})
