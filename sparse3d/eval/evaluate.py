"""Evaluation of a reconstruction against true cameras and photos, held-out ones above all."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval import image_metrics, lpips
from sparse3d.eval.evaluation import Evaluation, HeldOutScore, ImageScore, TrainingScore
from sparse3d.eval.image_metrics import SCORING_PX
from sparse3d.eval.names import match_names
from sparse3d.eval.pose_metrics import PoseMetrics, Sim3, focal_errors, pose_metrics
from sparse3d.eval.refine_pose import RefineConfig, refine_pose
from sparse3d.eval.render_views import render_camera
from sparse3d.render.rasterise import RenderOptions

ReadImage = Callable[[str], UInt8[ndarray, "_h _w 3"] | Float[ndarray, "_h _w 3"]]

ASPECT_TOLERANCE_PX = 1.0
"""A photo may be a scaled version of its camera's image if its height is right to so many pixels."""


@dataclass(frozen=True)
class EvaluateConfig:
    """What is measured.

    Attributes:
        refine: the rule for refining test poses; None leaves the second set of figures out.
        training: score the photos that the run was made from, too.
        max_held_out: at most so many held-out photos, evenly spread over all; None takes all.
        lpips_nets: networks to measure LPIPS by.
        options: of the rasteriser.
    """

    refine: RefineConfig | None = field(default_factory=RefineConfig)
    training: bool = True
    max_held_out: int | None = None
    lpips_nets: tuple[lpips.Net, ...] = lpips.NETS
    options: RenderOptions = field(default_factory=RenderOptions)


def evaluate(
    reconstruction: Reconstruction,
    truth: Cameras,
    read_image: ReadImage,
    config: EvaluateConfig | None = None,
    *,
    on_progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Measure cameras and renderings.

    The worlds are aligned by the photos that were placed and have a true pose. Held-out is a camera of the truth whose
    photo was not given to the run, neither placed nor left out as unplaceable; it is moved into the run's world by the
    alignment, rendered as `sparse3d render` does it, and compared with its photo.

    Args:
        truth: at the photos' full size, names as `match_names` pairs them; poses may be NaN where nobody knows them.
        read_image: the upright photo of a name: of the truth's, or of the run's where the truth does not have it.
            An OSError or InputError that it raises makes that photo "not measured".
        on_progress: told what is being done, one line at a time.

    Raises:
        InputError: names cannot be paired without doubt, or a photo has not its camera's aspect.
    """
    config = config or EvaluateConfig()
    tell = on_progress or (lambda _: None)
    unplaced = [name for name, _ in reconstruction.provenance.unplaced]
    run_names = (*reconstruction.cameras.names, *unplaced)
    true_name_of = match_names(run_names, truth.names)
    scorer = _Scorer(reconstruction, config, *_available_lpips(config.lpips_nets))

    poses, alignment, reason, matched, focal = _measure_poses(reconstruction, truth, true_name_of)
    given = set(true_name_of.values())
    candidates = [i for i, name in enumerate(truth.names) if name not in given]
    held_out, training = [], []
    if alignment is not None:
        for i in _spread(candidates, config.max_held_out):
            tell(f"held-out photo {truth.names[i]}")
            held_out.append(scorer.held_out(truth.select([i]), alignment, read_image))
    for i, name in enumerate(reconstruction.cameras.names if config.training else ()):
        tell(f"training photo {name}")
        training.append(scorer.training(reconstruction.cameras.select([i]), read_image, true_name_of.get(name, name)))
    return Evaluation(
        matched=matched,
        unplaced=reconstruction.provenance.unplaced,
        poses=poses,
        alignment=alignment,
        poses_reason=reason,
        focal_errors=focal,
        held_out=tuple(held_out),
        held_out_reason=reason if candidates else "not measured: every photo of the truth was given to the run",
        training=tuple(training),
        lpips=scorer.lpips_notes,
        protocol=_protocol(config),
    )


@dataclass(frozen=True)
class _Scorer:
    """What all views are scored with."""

    reconstruction: Reconstruction
    config: EvaluateConfig
    nets: tuple[lpips.Net, ...]
    lpips_notes: dict[str, str]

    def held_out(self, true_camera: Cameras, alignment: Sim3, read_image: ReadImage) -> HeldOutScore:
        """Score one camera of the truth without and with refinement of its pose."""
        name = true_camera.names[0]
        if not _has_pose(true_camera)[0]:
            return HeldOutScore(name, None, None, reason="not measured: its true pose or intrinsics are not known")
        try:
            photo = image_metrics.from_pixels(read_image(name))
        except (OSError, InputError) as error:
            return HeldOutScore(name, None, None, reason=f"not measured: {error}")
        camera = _fit_to_photo(true_camera, photo)
        camera = camera.replace(cam_from_world=alignment.move_cameras(camera.cam_from_world.double()))
        aligned = self.score(camera, photo)
        if self.config.refine is None:
            return HeldOutScore(name, aligned, None, reason="refined: not measured: switched off")
        moved = refine_pose(self.reconstruction, camera, photo, self.config.refine, options=self.config.options)
        return HeldOutScore(name, aligned, self.score(moved.camera, photo), moved.rotation_deg, moved.translation)

    def training(self, camera: Cameras, read_image: ReadImage, photo_name: str) -> TrainingScore:
        """Score one of the run's own cameras."""
        try:
            photo = image_metrics.from_pixels(read_image(photo_name))
        except (OSError, InputError) as error:
            return TrainingScore(camera.names[0], None, f"not measured: {error}")
        return TrainingScore(camera.names[0], self.score(_fit_to_photo(camera, photo), photo))

    def score(self, camera: Cameras, photo: Float[ndarray, "h w 3"]) -> ImageScore:
        """Render at full size, shrink both, compare."""
        [view] = render_camera(self.reconstruction, camera, self.config.options)
        rendering, truth = (image_metrics.to_scoring_resolution(image) for image in (view.rgb, photo))
        distances: dict[str, float | None] = dict.fromkeys(self.config.lpips_nets)
        for net in self.nets:
            if min(truth.shape[:2]) >= lpips.MIN_SIDE_PX[net]:
                distances[net] = lpips.lpips(rendering, truth, net)
        return ImageScore(image_metrics.psnr(rendering, truth), image_metrics.ssim(rendering, truth), distances)


def _measure_poses(
    reconstruction: Reconstruction, truth: Cameras, true_name_of: dict[str, str]
) -> tuple[PoseMetrics | None, Sim3 | None, str | None, tuple[str, ...], dict[str, float]]:
    """Pose errors, alignment, the reason where there is none, the matched names and their focal errors."""
    index = {name: i for i, name in enumerate(truth.names)}
    run, known = reconstruction.cameras, _has_pose(truth)
    placed = [name for name in run.names if name in true_name_of and known[index[true_name_of[name]]]]
    unplaced = [name for name, _ in reconstruction.provenance.unplaced if name in true_name_of]
    missing = sum(known[index[true_name_of[name]]] for name in unplaced)
    ours = run.select([run.names.index(name) for name in placed])
    true = truth.select([index[true_name_of[name]] for name in placed])
    focal = dict(zip(placed, focal_errors(ours.K, ours.sizes, true.K, true.sizes), strict=True))
    if len(placed) < 2:
        reason = f"not measured: {len(placed)} placed photos have a true pose, need at least 2"
        return None, None, reason, tuple(placed), focal
    try:
        poses, alignment = pose_metrics(ours.cam_from_world.double(), true.cam_from_world.double(), missing=missing)
    except ValueError as error:
        return None, None, f"not measured: {error}", tuple(placed), focal
    return poses, alignment, None, tuple(placed), focal


def _has_pose(cameras: Cameras) -> list[bool]:
    """Which views' poses and intrinsics are known."""
    known = cameras.cam_from_world.isfinite().flatten(1).all(1) & cameras.K.isfinite().flatten(1).all(1)
    return known.tolist()


def _fit_to_photo(camera: Cameras, photo: Float[ndarray, "h w 3"]) -> Cameras:
    """The camera at the photo's own size, which may be a scaled one."""
    height, width = photo.shape[:2]
    full_width, full_height = camera.sizes[0]
    if abs(full_height * width / full_width - height) > ASPECT_TOLERANCE_PX:
        raise InputError(
            f"{camera.names[0]}: the photo has {width}x{height} pixels, which is no scaled version of its camera's "
            f"{full_width}x{full_height}"
        )
    return camera if (width, height) == camera.sizes[0] else camera.resized([(width, height)])


def _spread(indices: list[int], limit: int | None) -> list[int]:
    """At most so many of them, evenly spaced, first and last included."""
    if limit is None or limit >= len(indices):
        return indices
    return [indices[i] for i in sorted({round(float(x)) for x in np.linspace(0, len(indices) - 1, limit)})]


def _available_lpips(nets: tuple[lpips.Net, ...]) -> tuple[tuple[lpips.Net, ...], dict[str, str]]:
    """The networks whose weights are there and sound, and a note on each."""
    available, notes = [], {}
    for net in nets:
        try:
            blank = np.zeros((lpips.MIN_SIDE_PX[net],) * 2 + (3,))
            lpips.lpips(blank, blank, net)
            notes[net] = lpips.weights_description(net)
            available.append(net)
        except (MissingDependency, InputError) as error:
            notes[net] = f"not measured: {error}"
    return tuple(available), notes


def _protocol(config: EvaluateConfig) -> dict[str, str]:
    """How the figures are defined, for whoever reads them."""
    refine = config.refine
    return {
        "alignment": "Sim(3) from the true world to the run's over the placed photos with a true pose: the rotation "
        "averages the orientations, scale and translation come from the centres",
        "ate_relative": "RMS of the aligned centres' distances over the RMS distance of the true centres from their mean",
        "rpe": "neighbouring photos in the run's order, RMS; translation in true units after the alignment's scale",
        "auc": "mean accuracy at 1, 2, ... T degrees over all pairs of photos; a pair's error is the larger of relative "
        "rotation and translation direction, the direction's sign ignored as in VGGT's code (auc_signed counts it); "
        "pairs with an unplaced photo fail",
        "held_out": "cameras of the truth whose photos were not given to the run; aligned poses",
        "rendering": "full size with lens distortion, low-pass filter of the splats as wide as in training, 8 bits",
        "scoring": f"photo and rendering in 8 bits, box-filtered by round(longer side / {SCORING_PX})",
        "psnr": "-10 log10(mean squared error), mean over the views",
        "ssim": "11-pixel Gaussian window of sigma 1.5 per channel, borders mirrored, all pixels",
        "lpips": "version 0.1, images mapped to [-1, 1]",
        "refined": "not measured: switched off"
        if refine is None
        else f"pose of each held-out camera refined against its photo: {refine.iterations} Adam steps on an SE(3) "
        f"increment, mean absolute colour error at {refine.max_side_px // 2} then {refine.max_side_px} px, rate "
        f"{refine.learning_rate} falling along a cosine, Gaussians fixed; the same for every run",
        "training": "the run's own cameras and photos",
    }
