"""What one idea of the optimisation may do in a step, beside the photometric and the depth loss."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams, Gaussians
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.optim.cameras import CameraParameters
from sparse3d.render.rasterise import RenderOptions, RenderOutput


@dataclass(frozen=True)
class Step:
    """One photo of an iteration, as terms see it.

    Attributes:
        iteration: 0 for the first one.
        done: share of the iterations that are done, in [0, 1].
        view: the photo that is fitted.
        prior: what is fitted.
        cameras: all cameras as they stand; called with views it gives these differentiably.
        gaussians: what is drawn, the leaves that take the gradients.
        confidence, observations: of the Gaussians, as in `GaussianParams`.
        render: how the photo's view is drawn; for further renderings too.
        generator: of this iteration: a run that goes on from a checkpoint draws the same numbers.
    """

    iteration: int
    done: float
    view: int
    prior: GeometryPrior
    cameras: CameraParameters
    gaussians: Gaussians
    confidence: Float[Tensor, " n"]
    observations: Int[Tensor, " n"]
    render: RenderOptions
    generator: torch.Generator

    def camera(self) -> Cameras:
        """Of the photo that is fitted, differentiable."""
        return self.cameras([self.view])


@dataclass(frozen=True)
class Edit:
    """A change of the set of Gaussians: those kept (with their moments), and new ones behind them.

    Attributes:
        keep: of the present ones.
        added: None for none.
    """

    keep: Bool[Tensor, " n"]
    added: GaussianParams | None = None


class Term:
    """One idea. Every hook does nothing unless a subclass says otherwise; they are called in this order.

    Of several photos in one step (`views_per_step`) the hooks up to `loss` are called photo by photo, those after the last one.
    """

    def options(self, options: RenderOptions) -> RenderOptions:
        """How the photo's view is to be drawn, such as with normals."""
        return options

    def draw(self, step: Step, gaussians: Gaussians) -> Gaussians:
        """The Gaussians that the photo's view draws, differentiable to those given."""
        return gaussians

    def uncertainty(self, step: Step) -> Float[Tensor, " n"] | None:
        """A figure for each Gaussian that is drawn in the same pass; of one term at most."""
        return None

    def picture(self, step: Step, rgb: Float[Tensor, "1 h w 3"]) -> Float[Tensor, "1 h w 3"]:
        """The rendering as the photo's camera would have taken it."""
        return rgb

    def weights(self, step: Step, output: RenderOutput, mask: Float[Tensor, "1 h w"]) -> Float[Tensor, "1 h w"]:
        """By how much each pixel counts in the photometric loss, not differentiable."""
        return mask

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""] | None:
        """What is added to the loss, its weight included."""
        return None

    def after_backward(self, step: Step) -> None:
        """The term's own parameters take their step, by the gradients that autograd left.

        The Gaussians have taken theirs; a term may move `step.gaussians.means` further, in place.
        """
        return

    def edit(self, step: Step, params: GaussianParams) -> Edit | None:
        """Whether the set of Gaussians changes now, after the step; `edited` follows, of this term too.

        Args:
            params: the present ones, to be read only.
        """
        return None

    def edited(self, edit: Edit) -> None:
        """The set of Gaussians changed: own figures for each Gaussian are adapted."""
        return

    def layers(self, params: GaussianParams, keep: Bool[Tensor, " n"]) -> Mapping[str, Float[Tensor, " kept"]]:
        """Figures for each Gaussian that the finished run keeps, by the layer's name.

        Args:
            params: all there are at the end.
            keep: those that are worth keeping.
        """
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that `restore` needs."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to a saved state."""
        return
