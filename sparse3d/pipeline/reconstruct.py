"""The whole path from a folder of photos to a run folder. Reads like the picture in the README."""

import logging
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

import sparse3d
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior
from sparse3d.core.images import ImageSet
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.eval.uncertainty import CALIBRATED_LAYER
from sparse3d.io import checkpoints
from sparse3d.io.atomic import clear_write_errors
from sparse3d.io.config_yaml import to_plain
from sparse3d.io.gaussian_layers import remove_gaussian_layer, write_gaussian_layer
from sparse3d.io.known_cameras import read_known_cameras
from sparse3d.io.photos import load_photos
from sparse3d.io.run_folder import RunFolder
from sparse3d.optim.choose_passes import MIN_PHOTOS, choose_passes
from sparse3d.optim.optimise import OptimResult, optimise
from sparse3d.optim.pose_solver import solve_cameras
from sparse3d.pipeline.config import ReconstructConfig, load_config
from sparse3d.pipeline.coverage import write_coverage_of
from sparse3d.pipeline.listener import Listener
from sparse3d.pipeline.outliers import outlier_stage
from sparse3d.pipeline.outputs import sure_share, write_outputs
from sparse3d.pipeline.report import write_report
from sparse3d.pipeline.report_text import untold_unplaced
from sparse3d.pipeline.run_report import run_report
from sparse3d.pipeline.stages import FileCheckpoints, cameras_key, fingerprint, kept, photos_key
from sparse3d.priors.fusion import initialise_gaussians
from sparse3d.priors.interface import Prior
from sparse3d.priors.stereo.prior import StereoPrior
from sparse3d.render.rasterise import RenderOptions

logger = logging.getLogger(__name__)


@runtime_checkable
class StageDone(Protocol):
    """Called at a stage's end with one line on its result, and whether that was found done."""

    def __call__(self, detail: str, found: bool = False) -> None: ...


def reconstruct(
    photos: Path | str,
    out: Path | str,
    *,
    known: Path | str | None = None,
    names: Sequence[str] | None = None,
    config: ReconstructConfig | None = None,
    listener: Listener | None = None,
) -> Reconstruction:
    """Turn a folder of photos into a run folder.

    Stages that the run folder already holds for the same photos and settings are not done again; Ctrl-C while
    optimising keeps what is done.

    Args:
        photos: folder of 2 to 24 photos.
        out: the run folder; made if it is not there.
        known: known cameras, all or part of them: a COLMAP model, transforms.json, poses_bounds.npy or cameras.json. What
            is known stays fixed unless `config.camera` frees it.
        names: use these photos only.
        config: settings; the preset `default` where none are given.
        listener: told of progress.

    Raises:
        InputError: the photos, the known cameras or the run folder cannot be used; the message says what to do.
    """
    config = load_config("default") if config is None else config
    listener = Listener() if listener is None else listener
    source = StereoPrior(config.camera, config.depth)
    watch = _Stopwatch(listener)
    with watch("photos") as done:
        images = load_photos(Path(photos), names=names)
        given = None if known is None else read_known_cameras(Path(known), images)
        done(f"{len(images)} photos" + (f", {len(images.skipped)} more left out" if images.skipped else ""))
    run = RunFolder.create(Path(out))
    with _log_file(run.log), _threads(config.threads):
        for name, why in images.skipped:
            logger.info("%s was left out: it %s", name, why)  # the terminal was told before there was a log
        with watch("cameras") as done:
            cameras, key = _camera_stage(run, source, images, given, config, done)
        with watch("depth") as done:
            prior = _depth_stage(run, source, images, cameras, key, config, done)
        if config.outliers.enabled:
            with watch("outliers") as done:
                depth_key = fingerprint(key, to_plain(config.depth))
                prior, line, found = outlier_stage(run, images, given, prior, depth_key, config)
                done(line, found)
        prior = solve_cameras(
            prior,
            config.optim.pose_solver,
            refine_poses=config.optim.refine_poses,
            refine_focal=config.optim.refine_focal,
            seed=config.seed,
        )
        with watch("gaussians") as done:
            gaussians = initialise_gaussians(prior, config.initialise)
            done(f"{len(gaussians):,} from {len(prior.cameras)} depth maps")
        for message in prior.warnings:
            listener.warning(message)
        if config.optim.passes_choices:
            with watch("passes") as done:
                config = _with_passes(config, gaussians, prior, done)
        with watch("optimise") as done:
            settings = (config.depth, config.outliers, config.initialise, config.optim)
            key = fingerprint(key, *map(to_plain, settings), config.seed)
            listener.optimising(prior)
            result = optimise(
                gaussians,
                prior,
                config.optim,
                render=RenderOptions(threads=config.threads or None),
                seed=config.seed,
                on_progress=listener.progress,
                checkpoints=FileCheckpoints(run.stage_path("optimise", key)),
            )
            done(_optimised_line(result))
        coverage, next_pictures = None, ()
        run.coverage.unlink(missing_ok=True)  # of an earlier run in the same folder
        remove_gaussian_layer(run.layers, CALIBRATED_LAYER)
        if config.coverage:
            with watch("coverage") as done:
                scene = _assemble(result, prior, images, config, watch.seconds)
                options = RenderOptions(threads=config.threads or None)
                coverage, next_pictures = write_coverage_of(run, scene, seed=config.seed, options=options)
                done(f"{100 * coverage.seen_twice:.0f} % of what shows from around the photos was seen by two or more")
        with watch("outputs") as done:
            reconstruction = _assemble(result, prior, images, config, watch.seconds)
            for name, values in result.layers.items():
                write_gaussian_layer(run.layers, name, values.numpy())
            views = write_outputs(run, reconstruction, result.working_cameras, prior, config)
            write_report(run.report, run_report(run, reconstruction, prior, views, coverage, next_pictures))
            done(str(run.report))
    return reconstruction


def _camera_stage(
    run: RunFolder, source: Prior, images: ImageSet, given: Cameras | None, config: ReconstructConfig, done: StageDone
) -> tuple[CameraPrior, str]:
    key = fingerprint(source.name, photos_key(images), cameras_key(given), to_plain(config.camera), config.seed)
    cameras, found = kept(
        run.stage_path("cameras", key),
        partial(source.estimate_cameras, images, given, seed=config.seed),
        checkpoints.load_camera_prior,
        checkpoints.save_camera_prior,
    )
    line = f"{len(cameras.cameras)} of {len(images)} photos placed, {len(cameras.points.points):,} points ({cameras.source})"
    for name, reason in cameras.unplaced:
        line += f"; {name} left out: {reason}"
    done(line, found)
    return cameras, key


def _depth_stage(
    run: RunFolder,
    source: Prior,
    images: ImageSet,
    cameras: CameraPrior,
    key: str,
    config: ReconstructConfig,
    done: StageDone,
) -> GeometryPrior:
    prior, found = kept(
        run.stage_path("depth", fingerprint(key, to_plain(config.depth))),
        partial(source.estimate_geometry, images, cameras),
        checkpoints.load_geometry_prior,
        checkpoints.save_geometry_prior,
    )
    sure = [sure_share(d.confidence) for d in prior.depths]
    done(f"{100 * sum(sure) / len(sure):.0f} % of the pixels are sure", found)
    return prior


def _with_passes(
    config: ReconstructConfig, gaussians: GaussianParams, prior: GeometryPrior, done: StageDone
) -> ReconstructConfig:
    """The settings with the number of passes that photos left out ask for, as the run's own settings tell it."""
    if len(prior.cameras) < MIN_PHOTOS:
        done(f"{config.optim.passes} passes: {len(prior.cameras)} photos are too few to leave one out")
        return config
    choices, render = config.optim.passes_choices, RenderOptions(threads=config.threads or None)
    found = choose_passes(gaussians, prior, config.optim, choices, render=render, seed=config.seed)
    done(f"{found.passes} passes, by photos left out")
    return replace(config, optim=replace(config.optim, passes=found.passes, passes_choices=()))


def _optimised_line(result: OptimResult) -> str:
    line = f"{len(result.gaussians):,} Gaussians after {result.iterations_done} iterations"
    if result.history:
        line += f", training PSNR {result.history[-1]['psnr']:.2f} dB"
    return line + (" (interrupted)" if result.interrupted else "")


def _assemble(
    result: OptimResult, prior: GeometryPrior, images: ImageSet, config: ReconstructConfig, timings_s: dict[str, float]
) -> Reconstruction:
    warnings = list(prior.warnings)
    warnings += [f"{name} was not used: it {reason}" for name, reason in images.skipped]
    warnings += [f"{name} could not be placed: {why}" for name, why in untold_unplaced(warnings, prior.unplaced)]
    if result.interrupted:
        wanted = config.optim.steps(len(prior.cameras))
        warnings.append(f"stopped by the user after {result.iterations_done} of {wanted} iterations")
    provenance = Provenance(
        prior=prior.source,
        settings=to_plain(config),
        seed=config.seed,
        versions={
            "sparse3d": sparse3d.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "pycolmap", "opencv-python-headless")},
        },
        timings_s=dict(timings_s),
        warnings=tuple(warnings),
        unplaced=(*prior.unplaced, *images.skipped),
        train_px=tuple(float(f) for f in prior.cameras.K[:, 0, 0]),
    )
    return Reconstruction(result.cameras, result.gaussians, provenance, result.history)


class _Stopwatch:
    """Times stages and tells the listener of each one's end."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[StageDone]:
        started = time.monotonic()
        lines: list[str] = []

        def done(detail: str, found: bool = False) -> None:
            lines.append(detail + (" (kept from before)" if found else ""))

        yield done
        self.seconds[name] = time.monotonic() - started
        for line in lines:
            logger.info("%s: %s, %.1f s", name, line, self.seconds[name])
            self.listener.stage(name, f"{line}, {self.seconds[name]:.1f} s")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _LogFile(logging.FileHandler):
    """The run's log: where its disk is full, the results' own error tells the user, not one for each line of the log."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Everything that the package logs goes to the run's log too."""
    package = logging.getLogger("sparse3d")
    with clear_write_errors(path):
        handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    except BaseException:
        # Into the file alone: the terminal gets the message without the traceback.
        handler.handle(logger.makeRecord(logger.name, logging.ERROR, "", 0, "stopped", (), sys.exc_info()))
        raise
    finally:
        package.removeHandler(handler)
        package.setLevel(before)
        handler.close()
