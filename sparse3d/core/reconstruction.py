"""The result: cameras, Gaussians and where they come from."""

import dataclasses
from dataclasses import dataclass, field

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams


@dataclass(frozen=True)
class Provenance:
    """How a reconstruction was made.

    Attributes:
        prior: the prior's source, such as "sift+mapper".
        settings: the resolved configuration as plain values.
        seed: of every random choice.
        versions: of the program and of what it computes with.
        timings_s: wall time of each stage.
        warnings: sentences for the user.
        unplaced: (photo name, reason) of the views left out.
        train_px: focal length in pixels of the images trained on, one a view; a rendering at another resolution scales the
            anti-aliasing filter by it.
    """

    prior: str
    settings: dict
    seed: int
    versions: dict[str, str]
    timings_s: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    unplaced: tuple[tuple[str, str], ...] = ()
    train_px: tuple[float, ...] = ()


@dataclass(frozen=True)
class Reconstruction:
    """Cameras at the photos' full size with their distortion, and Gaussians, in one world frame.

    Attributes:
        cameras: one a placed view.
        gaussians: what was optimised.
        provenance: how it was made.
        history: one entry a logged iteration: iteration, loss, psnr, seconds.
    """

    cameras: Cameras
    gaussians: GaussianParams
    provenance: Provenance
    history: tuple[dict[str, float], ...] = ()

    def replace(self, **changes) -> "Reconstruction":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)
