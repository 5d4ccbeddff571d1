"""The training loop of 3D Gaussian Splatting (Kerbl et al. 2023): fixed cameras, L1 and D-SSIM, one photo a step."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.bench.plain.densify import Densifier, DensifyConfig
from sparse3d.bench.plain.splats import PlainSplats
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams
from sparse3d.kernels.adam import SplatRates
from sparse3d.optim.running import RunningFit
from sparse3d.render.losses import photometric_loss
from sparse3d.render.rasterise import RenderOptions, rasterise

EXTENT_MARGIN = 1.1
"""On the radius of the cameras, as 3DGS's code has it."""
LOG_EVERY = 50


@dataclass(frozen=True)
class PlainConfig:
    """Settings of `train_plain`; all but the first are 3DGS's own.

    Attributes:
        iterations: one photo each.
        densify: None keeps the Gaussians that training starts with.
        ssim_weight: share of D-SSIM in the loss (eq. 7).
        sh_degree, sh_every: the colours' degree at the end, and the iterations after which it grows by one from 0.
        mean_lr: first step of centres, in shares of the scene's extent.
        mean_lr_final: share of it that is left at the end (exponential decay).
        colour_lr, sh_rest_lr, opacity_lr, scale_lr, quat_lr: Adam's steps of the other parameters.
    """

    iterations: int
    densify: DensifyConfig | None = None
    ssim_weight: float = 0.2
    sh_degree: int = 3
    sh_every: int = 1000
    mean_lr: float = 1.6e-4
    mean_lr_final: float = 0.01
    colour_lr: float = 0.0025
    sh_rest_lr: float = 0.000125
    opacity_lr: float = 0.05
    scale_lr: float = 0.005
    quat_lr: float = 0.001


@dataclass(frozen=True)
class TrainingPhotos:
    """What is trained on.

    Attributes:
        cameras: undistorted pinholes, which stay as they are.
        images: the photos at these cameras' sizes, in [0, 1].
        masks: 1 where a pixel counts.
    """

    cameras: Cameras
    images: tuple[Float[Tensor, "_h _w 3"], ...]
    masks: tuple[Float[Tensor, "_h _w"], ...]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class PlainResult:
    """The Gaussians, and one entry a logged iteration: iteration, loss, psnr, seconds."""

    gaussians: GaussianParams
    history: tuple[dict[str, float], ...]


Look = Callable[[Mapping[str, float], GaussianParams], None]
"""Given an entry of the history and the Gaussians as they are then."""


def train_plain(
    gaussians: GaussianParams,
    photos: TrainingPhotos,
    config: PlainConfig,
    *,
    seed: int,
    threads: int | None,
    look: Look | None = None,
) -> PlainResult:
    """Fit Gaussians to photos. The same seed, inputs and threads give the same bytes.

    Args:
        gaussians: where to start, with colours of degree 0.
        photos: what they are to show.
        config: the schedule.
        seed: of the order of the photos, and of where split Gaussians go.
        threads: None for as many as torch uses.
        look: called with every entry; what it takes is not counted in the entries' seconds.
    """
    generator = torch.Generator().manual_seed(seed)
    extent = scene_extent(photos.cameras)
    splats = PlainSplats(gaussians)
    densifier = None if config.densify is None else Densifier(splats, extent, config.densify, generator)
    curve = _Curve()
    for iteration, view in enumerate(photo_order(len(photos), config.iterations, generator)):
        if iteration % config.sh_every == 0 and 0 < iteration <= config.sh_every * config.sh_degree:
            splats.raise_sh_degree(iteration // config.sh_every)
        gathers = densifier is not None and densifier.wants_statistics(iteration)
        options = RenderOptions(threads=threads, depth=False, statistics=gathers)
        output = rasterise(splats.drawn, photos.cameras.select([view]), options=options)
        target, mask = photos.images[view][None], photos.masks[view][None]
        found = photometric_loss(output.rgb, target, ssim_weight=config.ssim_weight, mask=mask, threads=threads)
        found.loss.backward()
        done = iteration / max(1, config.iterations - 1)
        splats.step(_rates(config, extent, done), threads or torch.get_num_threads())
        if densifier is not None and gathers and output.statistics is not None:
            densifier.after_step(iteration, output.statistics, photos.cameras.sizes[view])
        last = iteration + 1 == config.iterations
        if curve.add(iteration + 1, float(found.loss.detach()), float(found.mse), last=last) and look is not None:
            with curve.paused():
                look(curve.entries[-1], splats.params())
    return PlainResult(splats.params(), tuple(curve.entries))


def scene_extent(cameras: Cameras) -> float:
    """Radius of the cameras about their mean with a margin, in scene units: 3DGS measures steps and sizes by it."""
    centres = cameras.centres
    return EXTENT_MARGIN * float((centres - centres.mean(0)).norm(dim=1).max())


def photo_order(photos: int, iterations: int, generator: torch.Generator) -> list[int]:
    """A photo for each iteration: every one once, in a new order, again and again."""
    rounds = [torch.randperm(photos, generator=generator) for _ in range(-(-iterations // photos))]
    return torch.cat(rounds)[:iterations].tolist() if rounds else []


def _rates(config: PlainConfig, extent: float, done: float) -> SplatRates:
    return SplatRates(
        means=config.mean_lr * extent * config.mean_lr_final**done,
        quats_wxyz=config.quat_lr,
        log_scales=config.scale_lr,
        logit_opacities=config.opacity_lr,
        sh_dc=config.colour_lr,
        sh_rest=config.sh_rest_lr,
    )


class _Curve:
    """The running loss and PSNR."""

    def __init__(self) -> None:
        self.entries: list[dict[str, float]] = []
        self.fit = RunningFit()
        self.started = time.monotonic()

    def add(self, iteration: int, loss: float, mse: float, *, last: bool) -> bool:
        """Take a step's figures in; returns whether they made an entry."""
        self.fit.add(loss, mse)
        if not last and iteration % LOG_EVERY:
            return False
        self.entries.append(self.fit.entry(iteration, time.monotonic() - self.started))
        return True

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What goes on meanwhile takes no time."""
        before = time.monotonic()
        yield
        self.started += time.monotonic() - before
