"""The backends that the contract holds for, what each may refuse, and how near to the reference it has to come."""

from dataclasses import dataclass

import pytest
import torch

from sparse3d.core.errors import MissingDependency
from sparse3d.kernels.library import KernelUnavailable
from sparse3d.render.options import Backend, RenderOptions
from sparse3d.render.rasterise import choose_backend


@dataclass(frozen=True)
class Contestant:
    """One backend.

    Attributes:
        device: where it takes its tensors.
        double: whether it has a float64 instance.
        lacks: what it refuses by this name, rather than draw something else.
        image_tolerance, gradient_tolerance: in float32, relative to the largest value of the tensor.
        allowed: share of values that may lie beyond in float32: where an alpha is within rounding of 1/255, a
            transmittance of its limit, or a depth order flips.
    """

    backend: Backend
    device: str = "cpu"
    double: bool = True
    lacks: tuple[str, ...] = ()
    image_tolerance: float = 1e-5
    gradient_tolerance: float = 1e-4
    allowed: float = 2e-3

    @property
    def dtype(self) -> torch.dtype:
        """The finest that it computes in."""
        return torch.float64 if self.double else torch.float32


GSPLAT_LACKS = ("median_depth", "statistics", "masks", "gradients to K")
CONTESTANTS = {
    "reference": Contestant("reference", double=False),  # in float64 it would be compared with itself
    "cpu": Contestant("cpu"),
    "cuda": Contestant("cuda", "cuda", double=False),
    "cuda emulated": Contestant("cuda"),
    # It leaves out the Gaussian that would take the transmittance below 1e-4, and its exponential is an approximation.
    "gsplat": Contestant(
        "gsplat", "cuda", double=False, lacks=GSPLAT_LACKS, image_tolerance=3e-4, gradient_tolerance=2e-3
    ),
    "gsplat stand-in": Contestant("gsplat", double=False, lacks=GSPLAT_LACKS),
}

TYPED = [
    (n, t) for n, c in CONTESTANTS.items() for t in ((torch.float64, torch.float32) if c.double else (torch.float32,))
]
"""Every contestant with every type that it computes in."""


def available(name: str, monkeypatch: pytest.MonkeyPatch) -> Contestant:
    """The contestant of that name; skips the test where it cannot run."""
    contestant = CONTESTANTS[name]
    if name == "gsplat stand-in":
        import gsplat_stand_in

        gsplat_stand_in.install(monkeypatch)
    if name == "cuda emulated":
        import cuda_emulation

        cuda_emulation.install(monkeypatch)
    if contestant.device == "cuda" and not torch.cuda.is_available():
        pytest.skip(f"{name}: no GPU that torch can use")
    try:
        choose_backend(contestant.backend)
        if contestant.backend == "cuda":
            draw_nothing(contestant)
    except (KernelUnavailable, MissingDependency) as error:
        pytest.skip(f"{name}: {error}")
    return contestant


def draw_nothing(contestant: Contestant) -> None:
    """An empty picture: whether the backend works at all."""
    from splat_scenes import draw, random_scene

    scene = random_scene(0).to(torch.float32, contestant.device)
    draw(scene, scene.tensors, RenderOptions(backend=contestant.backend))
