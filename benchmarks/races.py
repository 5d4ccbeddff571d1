"""Who runs in `benchmarks/rasteriser.py` on a CPU: our rasteriser and loss beside the yardstick, interleaved in one process."""

import dataclasses
import importlib
import sys
from pathlib import Path

import numpy as np
import torch

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import Gaussians, colour_to_sh0
from sparse3d.render.benchmark import (
    Contestant,
    LossPass,
    RasteriserPass,
    Timing,
    multiply_adds_per_pair,
    race,
    slab_scene,
)
from sparse3d.render.options import RenderOptions
from sparse3d.render.reference import contributing_pairs

CHANNELS = {3: {"depth": False}, 7: {"depth": True, "normals": True}}
"""What we draw for so many channels beside alpha: RGB; RGB, depth and normals."""


class Yardstick:
    """A prototype in a folder outside: yardstick.py with a class of this name, surface_scene.py with the scene."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        self.make_scene = importlib.import_module("surface_scene").surface_scene
        self.prototype = importlib.import_module("yardstick").Yardstick()

    def contestant(self, scene: dict, threads: int, channels: int) -> Contestant:
        """Forward and backward pass with a random gradient to the channels and alpha."""
        shape = (channels + 1, scene["H"], scene["W"])
        gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        return lambda: self.prototype.forward(scene, threads, channels), lambda: self.prototype.backward(gradient)

    def picture(self, scene: dict) -> torch.Tensor:
        """RGB over black, (h, w, 3)."""
        return torch.from_numpy(self.prototype.forward(scene, 1, 3)[:3].transpose(1, 2, 0).copy())

    def pairs(self) -> int:
        """Contributing pairs of the last forward pass."""
        return self.prototype.pairs()


def from_arrays(scene: dict) -> tuple[Gaussians, Cameras]:
    """The yardstick's scene in our types; colours as spherical harmonics of degree 0."""
    arrays = (torch.from_numpy(scene[k].copy()) for k in ("means", "quats", "scales", "opac", "colors"))
    means, quats, scales, opacities, colours = arrays
    pose = torch.from_numpy(scene["viewmat"]).double()[None]
    cameras = Cameras.build(pose, intrinsics_matrix(*scene["K"].tolist())[None], [(scene["W"], scene["H"])])
    return Gaussians(means, quats, scales, opacities, colour_to_sh0(colours)), cameras


def run_case(
    yardstick: Yardstick | None, count: int, size: tuple[int, int], threads: list[int], rounds: int, seconds: float
) -> dict:
    """One scene, drawn by everybody with every number of threads and of channels.

    Returns:
        A record for JSON: timings by contestant, and what is concluded from them (see `conclude`).
    """
    arrays = None if yardstick is None else yardstick.make_scene(count, *size)
    gaussians, cameras = slab_scene(count, *size) if arrays is None else from_arrays(arrays)
    contestants: dict[str, Contestant] = {}
    for t in threads:
        for channels, images in CHANNELS.items():
            if yardstick is not None and arrays is not None:
                contestants[f"yardstick {channels} x{t}"] = yardstick.contestant(arrays, t, channels)
            options = RenderOptions(backend="cpu", threads=t, **images)
            contestants[f"ours {channels} x{t}"] = RasteriserPass(gaussians, cameras, options).contestant()
        contestants[f"loss x{t}"] = LossPass(*size, t).contestant()
    found = race(contestants, rounds=rounds, seconds=seconds)
    case = {"gaussians": count, "size": list(size), "threads": threads}
    if yardstick is not None and arrays is not None:
        theirs = yardstick.picture(arrays)
        case["pairs"] = yardstick.pairs()
        case["psnr_to_yardstick_db"] = _psnr(theirs, _picture(gaussians, cameras))
    else:
        case["pairs"] = contributing_pairs(gaussians, cameras, RenderOptions())
    case["timings"] = {name: dataclasses.asdict(timing) for name, timing in found.items()}
    return case | {"figures": conclude(found, threads, case["pairs"], with_yardstick=yardstick is not None)}


@torch.no_grad()
def _picture(gaussians: Gaussians, cameras: Cameras) -> torch.Tensor:
    run = RasteriserPass(gaussians, cameras, RenderOptions(backend="cpu", depth=False))
    run.forward()
    return run.images[0][0].detach()


def _psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean().clamp_min(1e-12)))


def conclude(found: dict[str, Timing], threads: list[int], pairs: int, *, with_yardstick: bool) -> dict[str, float]:
    """Ratios of medians of wall time (`cpu`: of processor time; `minima`: of the best rounds), and nanoseconds a pair.

    On a machine that others use too, minima tell more of scaling: a busy core is no second core.
    """
    figures = {}
    for t in threads:
        ours, seven = found[f"ours 3 x{t}"], found[f"ours 7 x{t}"]
        if with_yardstick:
            theirs, theirs7 = found[f"yardstick 3 x{t}"], found[f"yardstick 7 x{t}"]
            figures[f"ours / yardstick x{t}"] = ours.wall_ms / theirs.wall_ms
            figures[f"ours / yardstick x{t} cpu"] = ours.cpu_ms / theirs.cpu_ms
            figures[f"ours / yardstick x{t} minima"] = ours.wall_min_ms / theirs.wall_min_ms
            figures[f"7 channels, ours / yardstick x{t}"] = seven.wall_ms / theirs7.wall_ms
            figures[f"loss / yardstick x{t}"] = found[f"loss x{t}"].wall_ms / theirs.wall_ms
        figures[f"7 channels / RGB x{t}"] = seven.wall_ms / ours.wall_ms
        figures[f"ns per pair x{t}"] = 1e6 * ours.wall_ms / pairs
        if t != threads[0]:
            alone = found[f"ours 3 x{threads[0]}"]
            figures[f"x{threads[0]} / x{t}"] = alone.wall_ms / ours.wall_ms
            figures[f"x{threads[0]} / x{t} minima"] = alone.wall_min_ms / ours.wall_min_ms
    return figures


def share_of_peak(figures: dict[str, float], peak: float, channels: int = 3) -> float:
    """Of one core's multiply-adds a second (`peak`), the share that one thread's blending of RGB uses."""
    return multiply_adds_per_pair(channels) / (1e-9 * figures["ns per pair x1"] * peak)
