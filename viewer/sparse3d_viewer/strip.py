"""A photo, its rendering now, and their difference, for the page beside a running optimisation; and how held-out ones fare."""

import logging
import time

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.eval.image_metrics import psnr
from sparse3d.io.image_files import to_bytes
from sparse3d.optim.progress import Progress, Snapshot
from sparse3d.render.rasterise import RenderOptions, rasterise
from sparse3d_viewer.held_out import HeldOut, HeldOutPhoto, HeldOutSource, read_held_out
from sparse3d_viewer.layers import ERROR_RANGE
from sparse3d_viewer.live_panel import LivePanel
from sparse3d_viewer.scales import turbo

log = logging.getLogger(__name__)

STRIP_SIDE = 200
"""Pixels of each picture's longer side: the panel is not wider, and the optimisation needs the processor."""

MEASURE_SHARE = 0.05
"""Of one core's time that measuring the held-out photos may take: the more there is to draw, the more rarely they are."""


class StripFeed:
    """Feeds the panel's strip and its curve of held-out photos; called by the page's own thread only.

    Args:
        panel: where they are shown.
        prior: photos and cameras that are trained on.
        source: where held-out photos may be; None where the run has none.
    """

    def __init__(self, panel: LivePanel, prior: GeometryPrior, source: HeldOutSource | None) -> None:
        self._panel, self._prior, self._source = panel, prior, source
        self._held: HeldOut | None = None
        self._ready, self._measure_at = False, -np.inf

    def update(self, progress: Progress, snapshot: Snapshot) -> None:
        """Show how the Gaussians fit now."""
        if not self._ready:
            self._ready = True
            self._begin()
        held, last = self._held, progress.iteration >= progress.iterations
        if held is not None and (last or time.monotonic() >= self._measure_at):
            self._measure(held, progress.iteration, snapshot)
        index = self._panel.chosen
        count = 0 if held is None else len(held.photos)
        if held is not None and index < count:
            photo, camera = held.photos[index].image, held.camera(index, snapshot.cameras)
        else:
            view = index - count
            photo, camera = self._prior.images[view], snapshot.cameras.select([view])
        self._panel.show_strip(comparison_strip(snapshot, photo, camera))

    def _measure(self, held: HeldOut, iteration: int, snapshot: Snapshot) -> None:
        started = time.monotonic()
        scores = [score(snapshot, photo, held.camera(i, snapshot.cameras)) for i, photo in enumerate(held.photos)]
        self._panel.note_held_out(iteration, float(np.mean(scores)))
        self._measure_at = started + (time.monotonic() - started) / MEASURE_SHARE

    def _begin(self) -> None:
        """Find the held-out photos and tell the panel what can be looked at."""
        if self._source is not None:
            side = max(max(size) for size in self._prior.cameras.sizes)
            try:
                self._held = read_held_out(self._source, self._prior.full_cameras, side)
            except InputError as error:
                log.warning("no held-out photos: %s", error)
        held = () if self._held is None else tuple(photo.name for photo in self._held.photos)
        self._panel.offer_photos(held, self._prior.cameras.names)


@torch.no_grad()
def comparison_strip(snapshot: Snapshot, photo: Float[torch.Tensor, "h w 3"], camera: Cameras) -> NDArray[np.uint8]:
    """Photo, rendering and difference, below or beside one another.

    Args:
        photo: sRGB in [0, 1].
        camera: its pinhole, in the snapshot's world.
    """
    height, width = photo.shape[:2]
    factor = min(1.0, STRIP_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    rendering = _render(snapshot, camera.resized([size])).numpy()
    small = (
        torch.nn.functional.interpolate(photo.permute(2, 0, 1)[None].float(), size=size[::-1], mode="area")[0]
        .permute(1, 2, 0)
        .numpy()
    )
    difference = turbo(np.abs(small - rendering).mean(-1), *ERROR_RANGE)
    return np.concatenate([to_bytes(small), to_bytes(rendering), difference], 0 if width >= height else 1)


@torch.no_grad()
def score(snapshot: Snapshot, photo: HeldOutPhoto, camera: Cameras) -> float:
    """PSNR of a held-out photo in dB, at the size that is trained on, within the photo."""
    rendering = _render(snapshot, camera).numpy()
    return psnr(rendering, photo.image.numpy(), mask=photo.mask.numpy() > 0)


def _render(snapshot: Snapshot, camera: Cameras) -> Float[torch.Tensor, "h w 3"]:
    # One thread: the optimisation runs at the same time.
    options = RenderOptions(depth=False, threads=1)
    return rasterise(snapshot.gaussians.activate(), camera.to(torch.float32), options=options).rgb[0].clamp(0, 1)
