"""What a run is worth on a photo that it has not seen, for those who have no truth to compare with: leave one out.

Each photo in turn is kept back, depth, Gaussians and optimisation are done again from the others with the run's settings
and its cameras held fixed, and the result is rendered at the camera of the photo kept back. Each such run stands in
RUN/leave-one-out/NAME, a run folder like any other: what is done is not done again, and it can be looked at. The errors found
set the run's expected ones right (`pipeline.calibration`).
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.images import ImageSet, Photo
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.config import EvaluateConfig, FurtherTruth, ReadImage
from sparse3d.eval.evaluation import Evaluation, HeldOutScore, TrainingScore
from sparse3d.eval.image_metrics import from_pixels
from sparse3d.eval.pose_metrics import Sim3
from sparse3d.eval.protocol import LEFT_OUT, describe_protocol
from sparse3d.eval.uncertainty import MAX_PAIRS, Pairs, at_most
from sparse3d.eval.view_scorer import ViewScorer, available_lpips, spread
from sparse3d.io.config_yaml import read_config
from sparse3d.io.photos import load_photos
from sparse3d.io.run_folder import RunFolder, read_reconstruction
from sparse3d.pipeline.calibration import calibrate, left_out_pairs
from sparse3d.pipeline.config import ReconstructConfig
from sparse3d.pipeline.listener import Listener
from sparse3d.pipeline.reconstruct import reconstruct
from sparse3d.priors.outliers.config import OutlierConfig

MIN_PHOTOS = 3
"""One is kept back, and depth needs two."""

SAME_WORLD = Sim3(1.0, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
"""The runs without a photo keep the run's cameras, and so its world."""


def leave_one_out(
    run: Path,
    photos: Path,
    config: EvaluateConfig | None = None,
    *,
    further: FurtherTruth | None = None,
    listener: Listener | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Measure a run on its own photos, each left out in turn.

    Args:
        run: the run folder.
        photos: the folder that the run was made from.
        config: what is measured; `max_held_out` limits the photos that are left out, `options.threads` the threads.
        further: masks of the photos, where there are some.
        listener: told of each run's stages.
        on_progress: told what is being done, one line at a time.

    Raises:
        InputError: the run is not finished or has fewer than three photos, or its photos are not in the folder.
        KeyboardInterrupt: the user stopped it; what is done is kept, and the same call goes on from there.
    """
    config, tell = config or EvaluateConfig(), on_progress or (lambda _: None)
    whole, folder = read_reconstruction(run), RunFolder.open(run)
    cameras = whole.cameras
    if len(cameras) < MIN_PHOTOS:
        raise InputError(
            f"{run}: was made from {len(cameras)} placed photos: with one of them left out nothing is left to match; make a "
            f"run of at least {MIN_PHOTOS} photos, or measure against true cameras with --truth"
        )
    work = _LeavingOut(
        folder=folder,
        photos=photos,
        cameras=cameras,
        images=_photos_of(whole, photos),
        settings=_settings(folder, config),
        config=config,
        further=further or FurtherTruth(),
        listener=listener,
    )
    chosen = spread(list(range(len(cameras))), config.max_held_out)
    held_out, pairs = [], []
    for count, i in enumerate(chosen, 1):
        tell(f"photo {count} of {len(chosen)}: {cameras.names[i]} left out")
        score, found = work.measured_without(i)
        held_out.append(score)
        if found is not None:
            pairs.append(at_most(found, MAX_PAIRS // len(chosen), seed=work.settings.seed))
    uncertainty, uncertainty_reason = calibrate(folder, whole, pairs)
    return Evaluation(
        matched=(),
        unplaced=whole.provenance.unplaced,
        poses=None,
        alignment=None,
        poses_reason="not measured: no true cameras were given",
        focal_errors={},
        held_out=tuple(held_out),
        held_out_reason=None if chosen else "not measured: no photo was to be left out",
        training=_fit(whole, config, work.read_pixels) if config.training else (),
        lpips=available_lpips(config.lpips_nets)[1],
        protocol=describe_protocol(config, held_out=LEFT_OUT),
        surface_reason="not measured: no true surface was given",
        uncertainty=uncertainty,
        uncertainty_reason=uncertainty_reason,
        kind="leave one out",
    )


@dataclass(frozen=True)
class _LeavingOut:
    """What every run without a photo is made from and measured with."""

    folder: RunFolder
    photos: Path
    cameras: Cameras
    images: ImageSet
    settings: ReconstructConfig
    config: EvaluateConfig
    further: FurtherTruth
    listener: Listener | None

    def measured_without(self, index: int) -> tuple[HeldOutScore, Pairs | None]:
        """How well the run without one of its photos shows that photo; and the errors that it expects there beside those found."""
        try:
            rest = self._without(index)
        except InputError as error:
            return HeldOutScore(self.cameras.names[index], None, None, reason=f"not measured: {error}"), None
        camera, scorer = self.cameras.select([index]), ViewScorer.build(rest, self.config, self.further)
        score = scorer.held_out(camera, SAME_WORLD, self.read_pixels)
        return score, None if score.aligned is None else self._pairs(scorer, camera)

    def read_pixels(self, name: str) -> UInt8[np.ndarray, "_h _w 3"]:
        """Of the photo of that name."""
        return self.images.read_pixels(self._photo(name))

    def _photo(self, name: str) -> Photo:
        [photo] = self.images.select([name]).photos
        return photo

    def _without(self, index: int) -> Reconstruction:
        """The run without one of its photos; whatever its folder holds already is kept."""
        others = [name for i, name in enumerate(self.cameras.names) if i != index]
        out = self.folder.left_out(self.cameras.names[index])
        rest = reconstruct(
            self.photos, out, known=self.folder.cameras, names=others, config=self.settings, listener=self.listener
        )
        wanted = self.settings.optim.steps(len(rest.cameras))
        if rest.history and rest.history[-1]["iteration"] < wanted:
            raise KeyboardInterrupt  # `reconstruct` keeps what an interrupted optimisation did; that is no result to score
        return rest

    def _pairs(self, scorer: ViewScorer, camera: Cameras) -> Pairs | None:
        """The errors expected in the photo and those found, where neither its own mask nor a given one forbids."""
        [name], read_mask = camera.names, self.further.read_mask
        mask, further = self.images.read_mask(self._photo(name)), None if read_mask is None else read_mask(name)
        mask = mask if further is None else mask & further
        rest = RunFolder(self.folder.left_out(name))
        pixels = from_pixels(self.read_pixels(name))
        return left_out_pairs(rest, scorer.reconstruction, camera, pixels, mask, scorer.config.options)


def _photos_of(whole: Reconstruction, folder: Path) -> ImageSet:
    """The run's photos, which have to be as large as its cameras say."""
    images = load_photos(folder, names=whole.cameras.names)
    sizes = dict(zip(images.names, images.sizes, strict=True))
    for name, size in zip(whole.cameras.names, whole.cameras.sizes, strict=True):
        if sizes.get(name) != size:
            found = "cannot be used" if name not in sizes else f"has {sizes[name][0]}x{sizes[name][1]} pixels"
            raise InputError(
                f"{folder / name}: {found}, the run was made from a photo of {size[0]}x{size[1]}: give the folder that the "
                "run was made from"
            )
    return images


def _settings(folder: RunFolder, config: EvaluateConfig) -> ReconstructConfig:
    """Those of the run, with all cameras held fixed and every photo taken as it is."""
    settings = read_config(folder.config, ReconstructConfig())
    camera = dataclasses.replace(settings.camera, free_known_poses=False, free_known_intrinsics=False)
    threads, outliers = config.options.threads or 0, OutlierConfig(enabled=False)
    return dataclasses.replace(settings, camera=camera, outliers=outliers, coverage=False, threads=threads)


def _fit(whole: Reconstruction, config: EvaluateConfig, read_image: ReadImage) -> tuple[TrainingScore, ...]:
    """How the run itself fits its photos, to set beside."""
    scorer = ViewScorer.build(whole, dataclasses.replace(config, covered=False), FurtherTruth())
    names = whole.cameras.names
    return tuple(scorer.training(whole.cameras.select([i]), read_image, name, None) for i, name in enumerate(names))
