"""A run as our rasteriser is to draw it for the page."""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.gaussians import Gaussians
from sparse3d.core.reconstruction import Reconstruction
from sparse3d_viewer.frame import DisplayFrame
from sparse3d_viewer.session import Session, ViewState

NEAR = 0.01
"""What is nearer is not drawn, in display units, as the browser's."""


@dataclass(frozen=True)
class Subject:
    """What is shown of a run.

    Attributes:
        scene: with the splats that are shown, as large as they are shown.
        gaussians: the same splats, as they are drawn.
        frame: the page's, over this run's world.
        figures: of the splats in the layer that is shown, NaN where not known; None where the layer has none.
    """

    scene: Reconstruction
    gaussians: Gaussians
    frame: DisplayFrame
    figures: Float[Tensor, " n"] | None = None

    @property
    def near(self) -> float:
        """What is nearer is not drawn, in scene units."""
        return NEAR / self.frame.scale


def subject_of(session: Session, state: ViewState, run_index: int) -> Subject:
    """A run as the state shows it, whichever run that shows."""
    state = dataclasses.replace(state, run=run_index)
    run, scene = session.runs[run_index], session.scene(state)
    figures = None
    if state.layer in run.recolours:
        figures = torch.from_numpy(run.figures(state.layer)[session.shown(state)])
    return Subject(scene, scene.gaussians.activate(), run.scene.frame, figures)


def decides(state: ViewState) -> tuple[object, ...]:
    """What of the state a subject is made from, beside the run."""
    return state.box, state.min_opacity, state.splat_size, state.layer
