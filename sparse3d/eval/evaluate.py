"""Evaluation of a reconstruction against true cameras and photos, held-out ones above all."""

from collections.abc import Callable

from sparse3d.core.cameras import Cameras
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.config import EvaluateConfig, FurtherTruth, ReadImage
from sparse3d.eval.evaluation import Evaluation
from sparse3d.eval.geometry_metrics import GeometryScore
from sparse3d.eval.names import match_names
from sparse3d.eval.pose_metrics import PoseMetrics, Sim3, focal_errors, pose_metrics
from sparse3d.eval.protocol import ALIGNED, describe_protocol
from sparse3d.eval.true_surface import score_surface
from sparse3d.eval.view_scorer import ViewScorer, has_pose, spread


def evaluate(
    reconstruction: Reconstruction,
    truth: Cameras,
    read_image: ReadImage,
    config: EvaluateConfig | None = None,
    *,
    further: FurtherTruth | None = None,
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
        further: masks, true depth and a true surface, where there are some.
        on_progress: told what is being done, one line at a time.

    Raises:
        InputError: names cannot be paired without doubt, or a photo has not its camera's aspect.
    """
    config, further = config or EvaluateConfig(), further or FurtherTruth()
    tell = on_progress or (lambda _: None)
    unplaced = [name for name, _ in reconstruction.provenance.unplaced]
    run_names = (*reconstruction.cameras.names, *unplaced)
    true_name_of = match_names(run_names, truth.names)
    scorer = ViewScorer.build(reconstruction, config, further)

    poses, alignment, reason, matched, focal = _measure_poses(reconstruction, truth, true_name_of)
    given = set(true_name_of.values())
    candidates = [i for i, name in enumerate(truth.names) if name not in given]
    held_out, training = [], []
    if alignment is not None:
        for i in spread(candidates, config.max_held_out):
            tell(f"held-out photo {truth.names[i]}")
            held_out.append(scorer.held_out(truth.select([i]), alignment, read_image))
    for i, name in enumerate(reconstruction.cameras.names if config.training else ()):
        tell(f"training photo {name}")
        own = reconstruction.cameras.select([i])
        training.append(scorer.training(own, read_image, true_name_of.get(name, name), alignment))
    placed = truth.select([truth.names.index(true_name_of[name]) for name in matched])
    surface, surface_reason = _measure_surface(reconstruction, alignment, placed, further, config)
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
        protocol=describe_protocol(config, held_out=ALIGNED),
        surface=surface,
        surface_reason=surface_reason,
        uncertainty_reason="not measured: expected errors are held against photos of the run that are left out, without truth",
    )


def _measure_poses(
    reconstruction: Reconstruction, truth: Cameras, true_name_of: dict[str, str]
) -> tuple[PoseMetrics | None, Sim3 | None, str | None, tuple[str, ...], dict[str, float]]:
    """Pose errors, alignment, the reason where there is none, the matched names and their focal errors."""
    index = {name: i for i, name in enumerate(truth.names)}
    run, known = reconstruction.cameras, has_pose(truth)
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


def _measure_surface(
    reconstruction: Reconstruction,
    alignment: Sim3 | None,
    cameras: Cameras,
    further: FurtherTruth,
    config: EvaluateConfig,
) -> tuple[GeometryScore | None, str | None]:
    """The figures against the true surface, or why there are none."""
    if further.surface is None:
        return None, "not measured: no true surface was given"
    if alignment is None:
        return None, "not measured: without an alignment of the cameras the surface cannot be compared"
    try:
        return score_surface(reconstruction, alignment, cameras, further.surface, config.surface_thresholds), None
    except ValueError as error:
        return None, f"not measured: {error}"
