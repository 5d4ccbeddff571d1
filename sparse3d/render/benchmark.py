"""How fast this machine rasterises: interleaved timings, medians, and what they are worth beside the machine's peak."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import Gaussians, colour_to_sh0
from sparse3d.kernels.context import POOL
from sparse3d.kernels.library import instruction_set
from sparse3d.render.losses import l1_ssim_loss
from sparse3d.render.options import RenderOptions
from sparse3d.render.rasterise import rasterise
from sparse3d.render.reference import contributing_pairs

COUNT, WIDTH, HEIGHT = 100_000, 512, 384
"""The scene that all figures are given for."""
_GEMM_SIZE = 768
"""Three such float32 matrices fit into a second-level cache, and take some milliseconds to multiply."""

Contestant = tuple[Callable[[], object], Callable[[], object]]
"""A forward and a backward pass."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds of forward and backward pass: medians over rounds, of wall time and of all threads' processor time."""

    forward_wall_ms: float
    forward_cpu_ms: float
    backward_wall_ms: float
    backward_cpu_ms: float
    wall_ms: float
    cpu_ms: float
    wall_min_ms: float
    rounds: int


def race(contestants: Mapping[str, Contestant], *, rounds: int, seconds: float) -> dict[str, Timing]:
    """Time contestants in turn, so that what else the machine does meets all of them.

    Args:
        contestants: by name; each runs once a round, and every round begins with another one.
        rounds: at least as many are timed, after one that warms up.
        seconds: and for at least as long.
    """
    found: dict[str, list[list[np.ndarray]]] = {name: [] for name in contestants}
    order = list(contestants)
    stop = time.perf_counter() + seconds
    done = 0
    while done < rounds + 1 or time.perf_counter() < stop:
        for name in order:
            forward, backward = contestants[name]
            stamps = [_stamp()]
            for run in (forward, backward):
                run()
                stamps.append(_stamp())
            found[name].append([*(1e3 * (stamps[i + 1] - stamps[i]) for i in (0, 1)), 1e3 * (stamps[2] - stamps[0])])
        order = order[1:] + order[:1]
        done += 1
    return {name: _timing(np.array(rows)[1:]) for name, rows in found.items()}


def _stamp() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def _timing(rows: np.ndarray) -> Timing:
    """Of rows (round, pass, clock)."""
    medians = np.median(rows, 0).ravel().tolist()
    return Timing(*medians, wall_min_ms=float(rows[:, 2, 0].min()), rounds=len(rows))


def slab_scene(count: int, width: int, height: int, *, seed: int = 0) -> tuple[Gaussians, Cameras]:
    """Gaussians of about one pixel in a slab before one camera, as a dense point map leaves them; float32."""
    rng, focal = np.random.default_rng(seed), 0.9 * width
    z = rng.uniform(2, 6, count)
    xy = rng.uniform(-0.5, 0.5, (count, 2)) * [width / focal, height / focal] * z[:, None]
    arrays = [
        np.concatenate([xy, z[:, None]], 1),
        rng.normal(size=(count, 4)),
        (z / focal)[:, None] * rng.uniform(0.3, 1.4, (count, 3)),
        rng.uniform(0.5, 0.9, count),
        rng.uniform(size=(count, 3)),
    ]
    means, quats, scales, opacities, colours = (torch.from_numpy(a).float() for a in arrays)
    k = intrinsics_matrix(focal, focal, width / 2, height / 2)[None]
    cameras = Cameras.build(torch.eye(4, dtype=torch.float64)[None], k, [(width, height)])
    return Gaussians(means, quats, scales, opacities, colour_to_sh0(colours)), cameras


class RasteriserPass:
    """One scene, drawn and differentiated to the Gaussians, the poses and the intrinsics."""

    def __init__(self, gaussians: Gaussians, cameras: Cameras, options: RenderOptions) -> None:
        def leaf(tensor: Tensor) -> Tensor:
            return tensor.detach().clone().requires_grad_()

        g = gaussians
        self.gaussians = Gaussians(*(leaf(t) for t in (g.means, g.quats_wxyz, g.scales, g.opacities, g.sh)))
        self.cameras = cameras.replace(cam_from_world=leaf(cameras.cam_from_world), K=leaf(cameras.K))
        self.options = options
        self.images: list[Tensor] = []
        self.upstream: list[Tensor] = []

    def leaves(self) -> list[Tensor]:
        g = self.gaussians
        return [g.means, g.quats_wxyz, g.scales, g.opacities, g.sh, self.cameras.cam_from_world, self.cameras.K]

    def forward(self) -> None:
        for leaf in self.leaves():
            leaf.grad = None
        self.images = []  # as in a training loop, the pass before gives its context back
        out = rasterise(self.gaussians, self.cameras, options=self.options)
        drawn = (out.rgb, out.alpha, out.depth if self.options.depth else None, out.median_depth, out.normals)
        self.images = [image for image in drawn if image is not None]

    def backward(self) -> None:
        if not self.upstream:
            self.upstream = [torch.randn_like(image) for image in self.images]
        torch.autograd.backward(self.images, self.upstream)

    def contestant(self) -> Contestant:
        return self.forward, self.backward


class LossPass:
    """The photometric loss of one random picture, and its gradient."""

    def __init__(self, width: int, height: int, threads: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.rendered = torch.rand(1, height, width, 3, generator=generator).requires_grad_()
        self.target = torch.rand(1, height, width, 3, generator=generator)
        self.threads = threads
        self.loss = self.rendered.new_zeros(())

    def forward(self) -> None:
        self.loss = l1_ssim_loss(self.rendered, self.target, threads=self.threads)

    def backward(self) -> None:
        self.rendered.grad = None
        self.loss.backward()

    def contestant(self) -> Contestant:
        return self.forward, self.backward


def multiply_adds_per_pair(channels: int) -> int:
    """Uses of the multiply-add unit for one pixel of one Gaussian, forward and backward (`cuda/cpu/raster_*.cpp`).

    An addition or a multiplication alone counts as one. Forward: exponent 2, exp2 7, weight and transmittance 2, and one a
    channel. Backward: exponent, exp2, weight and transmittance 11, residual 2, gradient to alpha 4, moments 4, and two a
    channel.
    """
    return (11 + channels) + (21 + 2 * channels)


def peak_multiply_adds(repeats: int = 12) -> float:
    """Float32 multiply-adds a second of one core: a lower bound of the peak, the best of some matrix products."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b, out = (torch.rand(_GEMM_SIZE, _GEMM_SIZE) for _ in range(3))
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        seconds.append(time.perf_counter() - started)
    torch.set_num_threads(threads)
    return _GEMM_SIZE**3 / min(seconds)


@dataclass(frozen=True)
class MachineFigures:
    """What `measure_machine` found for `COUNT` Gaussians, RGB, in a picture of `WIDTH` x `HEIGHT`.

    Attributes:
        rasteriser, loss: by the number of threads.
        pairs: pixels times Gaussians that are blended.
        peak: multiply-adds a second of one core.
        working_bytes: what the rasteriser holds between forward and backward pass.
    """

    instruction_set: str
    rasteriser: dict[int, Timing]
    loss: dict[int, Timing]
    pairs: int
    peak: float
    working_bytes: int

    def ns_per_pair(self, threads: int) -> float:
        """Nanoseconds of wall time for one pixel of one Gaussian, forward and backward."""
        return 1e6 * self.rasteriser[threads].wall_ms / self.pairs

    def share_of_peak(self) -> float:
        """Of one core's multiply-adds, the share that one thread's blending uses."""
        return multiply_adds_per_pair(3) / (1e-9 * self.ns_per_pair(1) * self.peak)


def measure_machine(threads: Sequence[int], *, rounds: int = 5, seconds: float = 3.0) -> MachineFigures:
    """Time the compiled rasteriser and loss on this machine.

    Args:
        threads: numbers of threads to try; 1 among them.

    Raises:
        KernelUnavailable: the compiled kernels are not installed.
    """
    gaussians, cameras = slab_scene(COUNT, WIDTH, HEIGHT)
    contestants = {}
    for t in threads:
        options = RenderOptions(backend="cpu", depth=False, threads=t)
        contestants[f"rasteriser {t}"] = RasteriserPass(gaussians, cameras, options).contestant()
        contestants[f"loss {t}"] = LossPass(WIDTH, HEIGHT, t).contestant()
    found = race(contestants, rounds=rounds, seconds=seconds)
    return MachineFigures(
        instruction_set=instruction_set(),
        rasteriser={t: found[f"rasteriser {t}"] for t in threads},
        loss={t: found[f"loss {t}"] for t in threads},
        pairs=contributing_pairs(gaussians, cameras, RenderOptions()),
        peak=peak_multiply_adds(),
        working_bytes=_working_bytes(gaussians, cameras),
    )


def _working_bytes(gaussians: Gaussians, cameras: Cameras) -> int:
    """What one context holds after a forward and a backward pass."""
    POOL.release_memory()
    before = POOL.idle_bytes()
    run = RasteriserPass(gaussians, cameras, RenderOptions(backend="cpu", depth=False))
    run.forward()
    run.backward()
    run.images.clear()  # and with them the graph that keeps the context
    return POOL.idle_bytes() - before
