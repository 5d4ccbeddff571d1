"""The whole path from a folder of photos to a run folder. Reads like the picture in the README."""

import logging
import platform
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import sparse3d
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior
from sparse3d.core.images import ImageSet
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.eval.uncertainty import CALIBRATED_LAYER
from sparse3d.io import checkpoints
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
from sparse3d.pipeline.surroundings import StageDone, Stopwatch, log_file, torch_threads
from sparse3d.priors.fusion import initialise_gaussians
from sparse3d.priors.interface import Prior
from sparse3d.priors.stereo.prior import StereoPrior
from sparse3d.render.rasterise import RenderOptions

logger = logging.getLogger(__name__)


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
    watch = Stopwatch(listener)
    with watch("photos") as done:
        images = load_photos(Path(photos), names=names)
        given = None if known is None else read_known_cameras(Path(known), images)
        done(f"{len(images)} photos" + (f", {len(images.skipped)} more left out" if images.skipped else ""))
    run = RunFolder.create(Path(out))
    with log_file(run.log), torch_threads(config.threads):
        for name, why in images.skipped:
            logger.info("%s was left out: it %s", name, why)  # the terminal was told before there was a log
        prior, key = _prior_stages(run, images, given, config, watch)
        for message in prior.warnings:
            listener.warning(message)
        result, config = _gaussian_stages(run, prior, key, config, watch)
        return _result_stages(run, _assemble(result, prior, images, config), result, prior, config, watch)


def _prior_stages(
    run: RunFolder, images: ImageSet, given: Cameras | None, config: ReconstructConfig, watch: Stopwatch
) -> tuple[GeometryPrior, str]:
    """Cameras, depth, what does not fit; the cameras adjusted to the photos. With the camera stage's key."""
    source = StereoPrior(config.camera, config.depth)
    with watch("cameras") as done:
        cameras, key = _camera_stage(run, source, images, given, config, done)
    with watch("depth") as done:
        prior = _depth_stage(run, source, images, cameras, key, config, done)
    if config.outliers.enabled:
        with watch("outliers") as done:
            depth_key = fingerprint(key, to_plain(config.depth))
            prior, line, found = outlier_stage(run, images, given, prior, depth_key, config)
            done(line, found)
    optim = config.optim
    prior = solve_cameras(
        prior, optim.pose_solver, refine_poses=optim.refine_poses, refine_focal=optim.refine_focal, seed=config.seed
    )
    return prior, key


def _gaussian_stages(
    run: RunFolder, prior: GeometryPrior, key: str, config: ReconstructConfig, watch: Stopwatch
) -> tuple[OptimResult, ReconstructConfig]:
    """Gaussians from the depth maps, optimised; with the settings as they were in the end."""
    with watch("gaussians") as done:
        gaussians = initialise_gaussians(prior, config.initialise)
        done(f"{len(gaussians):,} from {len(prior.cameras)} depth maps")
    if config.optim.passes_choices:
        with watch("passes") as done:
            config = _with_passes(config, gaussians, prior, done)
    with watch("optimise") as done:
        settings = (config.depth, config.outliers, config.initialise, config.optim)
        key = fingerprint(key, *map(to_plain, settings), config.seed)
        watch.listener.optimising(prior)
        result = optimise(
            gaussians,
            prior,
            config.optim,
            render=RenderOptions(threads=config.threads or None),
            seed=config.seed,
            on_progress=watch.listener.progress,
            checkpoints=FileCheckpoints(run.stage_path("optimise", key)),
        )
        done(_optimised_line(result))
    return result, config


def _result_stages(
    run: RunFolder,
    scene: Reconstruction,
    result: OptimResult,
    prior: GeometryPrior,
    config: ReconstructConfig,
    watch: Stopwatch,
) -> Reconstruction:
    """What the photos cover, and all files; the reconstruction with the times of its stages."""
    coverage, next_pictures = None, ()
    run.coverage.unlink(missing_ok=True)  # of an earlier run in the same folder
    if config.coverage:
        with watch("coverage") as done:
            options = RenderOptions(threads=config.threads or None)
            coverage, next_pictures = write_coverage_of(run, scene, seed=config.seed, options=options)
            done(f"{100 * coverage.seen_twice:.0f} % of what shows from around the photos was seen by two or more")
    with watch("outputs") as done:
        scene = replace(scene, provenance=replace(scene.provenance, timings_s=dict(watch.seconds)))
        remove_gaussian_layer(run.layers, CALIBRATED_LAYER)  # of what was there before
        for name, values in result.layers.items():
            write_gaussian_layer(run.layers, name, values.numpy())
        views = write_outputs(run, scene, result.working_cameras, prior, config)
        write_report(run.report, run_report(run, scene, prior, views, coverage, next_pictures))
        done(str(run.report))
    return scene


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
    return replace(config, optim=config.optim.with_passes(found.passes))


def _optimised_line(result: OptimResult) -> str:
    line = f"{len(result.gaussians):,} Gaussians after {result.iterations_done} iterations"
    if result.history:
        line += f", training PSNR {result.history[-1]['psnr']:.2f} dB"
    return line + (" (interrupted)" if result.interrupted else "")


def _assemble(result: OptimResult, prior: GeometryPrior, images: ImageSet, config: ReconstructConfig) -> Reconstruction:
    """The reconstruction, the times of its stages aside."""
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
        timings_s={},
        warnings=tuple(warnings),
        unplaced=(*prior.unplaced, *images.skipped),
        train_px=tuple(float(f) for f in prior.cameras.K[:, 0, 0]),
    )
    return Reconstruction(result.cameras, result.gaussians, provenance, result.history)
