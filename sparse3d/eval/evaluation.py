"""The result of an evaluation: figures, how they came about, and why one is missing where it is."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from sparse3d.eval.pose_metrics import PoseMetrics, Sim3


@dataclass(frozen=True)
class ImageScore:
    """Likeness of a rendering and a photo, both at the scoring resolution.

    Attributes:
        lpips: for each network; None where it was not measured.
    """

    psnr: float
    ssim: float
    lpips: dict[str, float | None]


@dataclass(frozen=True)
class HeldOutScore:
    """One photo that the run has never seen.

    Attributes:
        aligned: at the true pose, moved into the run's world by the alignment; None where it was not measured.
        refined: at the pose refined against the photo; None where it was not measured.
        moved_deg, moved: by how much the refinement turned and shifted the camera, in degrees and median depths.
        reason: why something is None.
    """

    name: str
    aligned: ImageScore | None
    refined: ImageScore | None
    moved_deg: float | None = None
    moved: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class TrainingScore:
    """One photo that the run was made from, at the run's own camera."""

    name: str
    score: ImageScore | None
    reason: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """How good a reconstruction is.

    Attributes:
        matched: names of the placed photos that the truth has a pose for; the views that the worlds are aligned by.
        unplaced: (name, reason) of the photos that were given to the run and could not be placed.
        poses, alignment: errors of the cameras and the similarity from the true world into the run's; None without.
        poses_reason: why the poses were not measured.
        focal_errors: relative error of the focal length for each matched photo.
        held_out: photos that the truth has and the run was never given.
        held_out_reason: why there is none.
        training: the placed photos.
        lpips: for each network the files it was computed with, or "not measured: ..." with the reason.
        protocol: how each figure is defined, in words.
    """

    matched: tuple[str, ...]
    unplaced: tuple[tuple[str, str], ...]
    poses: PoseMetrics | None
    alignment: Sim3 | None
    poses_reason: str | None
    focal_errors: dict[str, float]
    held_out: tuple[HeldOutScore, ...]
    held_out_reason: str | None
    training: tuple[TrainingScore, ...]
    lpips: dict[str, str]
    protocol: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file: no NaN or infinity (null instead), a reason beside every null of ours."""
        poses = dataclasses.asdict(self.poses) if self.poses else None
        if poses is not None:
            poses["rotation_deg"] = dict(zip(self.matched, poses["rotation_deg"], strict=True))
            angles = sorted(poses["rotation_deg"].values())
            poses["rotation_deg_median"] = _median(angles)
            poses["rotation_deg_max"] = angles[-1]
        document = {
            "protocol": self.protocol,
            "lpips": self.lpips,
            "views": {
                "matched": self.matched,
                "unplaced": dict(self.unplaced),
                "held_out": [v.name for v in self.held_out],
            },
            "poses": poses,
            "poses_reason": self.poses_reason,
            "run_from_true": self._alignment(),
            "focal": {
                "relative_error": self.focal_errors,
                "median_absolute": _median(sorted(abs(e) for e in self.focal_errors.values())),
            },
            "held_out": {
                "aligned": summary([view.aligned for view in self.held_out]),
                "refined": summary([view.refined for view in self.held_out]),
                "reason": self.held_out_reason,
                "views": [dataclasses.asdict(view) for view in self.held_out],
            },
            "training": {
                "mean": summary([view.score for view in self.training]),
                "views": [dataclasses.asdict(view) for view in self.training],
            },
        }
        return _plain(document)

    def _alignment(self) -> dict[str, Any] | None:
        if self.alignment is None:
            return None
        return {
            "scale": self.alignment.scale,
            "rotation": self.alignment.rotation.tolist(),
            "translation": self.alignment.translation.tolist(),
        }


def summary(scores: list[ImageScore | None]) -> dict[str, float | int | None] | None:
    """Means over the views that were measured, the worst PSNR, and how many they are; None if there is none."""
    measured = [score for score in scores if score is not None]
    if not measured:
        return None
    result: dict[str, float | int | None] = {
        "views": len(measured),
        "psnr": _mean([score.psnr for score in measured]),
        "psnr_min": min(score.psnr for score in measured),
        "ssim": _mean([score.ssim for score in measured]),
    }
    for net in measured[0].lpips:
        values = [score.lpips[net] for score in measured]
        known = [value for value in values if value is not None]
        result[f"lpips_{net}"] = _mean(known) if len(known) == len(values) else None
    return result


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _median(ordered: list[float]) -> float | None:
    if not ordered:
        return None
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _plain(value: Any) -> Any:
    """Tuples as lists, keys as text, and null for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
