"""What a method is to the bench."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from numpy import ndarray

from sparse3d.bench.materials import Material, Poses
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.reconstruction import Provenance, Reconstruction


@dataclass(frozen=True)
class Outcome:
    """What a method made of a job's material.

    Attributes:
        reconstruction: cameras of the placed photos and Gaussians, in one world of the method's choice.
        draws: it has Gaussians; without, only its cameras are measured.
        uncertainty: the colour error that the method itself expects of each Gaussian; None where it says nothing of it.
    """

    reconstruction: Reconstruction
    draws: bool = True
    uncertainty: Float[ndarray, " n"] | None = None


@dataclass(frozen=True)
class Method:
    """A method under the name that it has in tables.

    Attributes:
        label: in tables; two methods of one bench differ in it.
        settings: all that its figures depend on, as plain values; changed settings are another job.
        run: makes the outcome; raises InputError where the photos defeat it, MissingDependency where it is not installed.
        poses: what it can work with.
        gpu: it needs one.
        seconds: rough duration by the number of photos on two cores, for the estimate; None where nobody knows.
    """

    label: str
    settings: Mapping[str, Any]
    run: Callable[[Material], Outcome]
    poses: tuple[Poses, ...] = ("posed", "unposed")
    gpu: bool = False
    seconds: Callable[[int], float] | None = None


@dataclass(frozen=True)
class Provided:
    """What is known of a peer's result besides its cameras and Gaussians.

    Attributes:
        source, seed, unplaced: as in `Provenance`.
        history: as in `Reconstruction`.
        train_px: focal lengths of the pictures trained on; without them the splats are drawn with the low-pass filter of
            whatever picture is asked for.
    """

    source: str
    seed: int
    unplaced: tuple[tuple[str, str], ...] = ()
    history: tuple[dict[str, float], ...] = ()
    train_px: tuple[float, ...] = ()


def as_reconstruction(cameras: Cameras, gaussians: GaussianParams, provided: Provided) -> Reconstruction:
    """A peer's result as the scorer takes it."""
    provenance = Provenance(
        prior=provided.source,
        settings={},
        seed=provided.seed,
        versions={},
        unplaced=provided.unplaced,
        train_px=provided.train_px,
    )
    return Reconstruction(cameras, gaussians, provenance, provided.history)


def no_gaussians() -> GaussianParams:
    """Of a method that finds cameras alone."""
    return GaussianParams(
        means=torch.zeros(0, 3),
        quats_wxyz=torch.zeros(0, 4),
        log_scales=torch.zeros(0, 3),
        logit_opacities=torch.zeros(0),
        sh=torch.zeros(0, 1, 3),
        confidence=torch.zeros(0),
        observations=torch.zeros(0, dtype=torch.int32),
    )
