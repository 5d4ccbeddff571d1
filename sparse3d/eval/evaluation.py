"""The result of an evaluation: figures, how they came about, and why one is missing where it is."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sparse3d.eval.depth_metrics import DepthScore
from sparse3d.eval.geometry_metrics import GeometryScore
from sparse3d.eval.pose_metrics import PoseMetrics, Sim3
from sparse3d.eval.uncertainty import UncertaintyScore


@dataclass(frozen=True)
class PartScore:
    """Likeness of a part of a rendering and of a photo; what lies outside of it is white in both.

    Attributes:
        share: of the picture's pixels that the part holds.
        psnr: over the part's pixels.
        ssim: mean over the part's pixels.
        ssim_whole: mean over the whole picture, the white included.
        lpips: of the pictures on white, for each network; None where it was not measured.
    """

    share: float
    psnr: float
    ssim: float
    ssim_whole: float
    lpips: dict[str, float | None]


@dataclass(frozen=True)
class ImageScore:
    """Likeness of a rendering and a photo, both at the scoring resolution.

    Attributes:
        lpips: for each network; None where it was not measured.
        masked: of the object alone; None for a photo without a mask.
        covered: of what a training view saw alone; None where that is nothing or was not asked for.
    """

    psnr: float
    ssim: float
    lpips: dict[str, float | None]
    masked: PartScore | None = None
    covered: PartScore | None = None


@dataclass(frozen=True)
class DepthResult:
    """Rendered depth of one view against the true one.

    Attributes:
        unaligned: with the scale that the cameras' alignment gives; None without an alignment.
        aligned: scaled to the median of the truth.
        ause, ause_of_random: of the rendered confidence, see `depth_metrics.Sparsification`.
    """

    unaligned: DepthScore | None
    aligned: DepthScore
    ause: float
    ause_of_random: float


@dataclass(frozen=True)
class HeldOutScore:
    """One photo that the run has never seen.

    Attributes:
        aligned: at the true pose, moved into the run's world by the alignment; None where it was not measured.
        refined: at the pose refined against the photo; None where it was not measured.
        moved_deg, moved: by how much the refinement turned and shifted the camera, in degrees and median depths.
        reason: why something is None.
        depth: at the true pose; None where there is no true depth.
    """

    name: str
    aligned: ImageScore | None
    refined: ImageScore | None
    moved_deg: float | None = None
    moved: float | None = None
    reason: str | None = None
    depth: DepthResult | None = None


@dataclass(frozen=True)
class TrainingScore:
    """One photo that the run was made from, at the run's own camera."""

    name: str
    score: ImageScore | None
    reason: str | None = None
    depth: DepthResult | None = None


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
        surface: the Gaussians against the true surface; None where it was not measured.
        surface_reason: why it was not.
        uncertainty: the errors that the run expects, against those found in photos left out; None where it was not measured.
        uncertainty_reason: why it was not.
        kind: "truth": measured against true cameras; "leave one out": the run's own photos, each left out in turn.
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
    surface: GeometryScore | None = None
    surface_reason: str | None = None
    uncertainty: UncertaintyScore | None = None
    uncertainty_reason: str | None = None
    kind: Literal["truth", "leave one out"] = "truth"

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file: no NaN or infinity (null instead), a reason beside every null of ours."""
        poses = dataclasses.asdict(self.poses) if self.poses else None
        if poses is not None:
            poses["rotation_deg"] = dict(zip(self.matched, poses["rotation_deg"], strict=True))
            angles = sorted(poses["rotation_deg"].values())
            poses["rotation_deg_median"] = _median(angles)
            poses["rotation_deg_max"] = angles[-1]
        document = {
            "kind": self.kind,
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
            "depth": {
                "held_out": depth_summary([view.depth for view in self.held_out]),
                "training": depth_summary([view.depth for view in self.training]),
            },
            "surface": None if self.surface is None else dataclasses.asdict(self.surface),
            "surface_reason": self.surface_reason,
            "uncertainty": None if self.uncertainty is None else dataclasses.asdict(self.uncertainty),
            "uncertainty_reason": self.uncertainty_reason,
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


def summary(scores: Sequence[ImageScore | None]) -> dict[str, Any] | None:
    """Means over the views that were measured, the worst PSNR, and how many they are; None if there is none."""
    measured = [score for score in scores if score is not None]
    if not measured:
        return None
    return {
        "views": len(measured),
        "psnr": _mean([score.psnr for score in measured]),
        "psnr_min": min(score.psnr for score in measured),
        "ssim": _mean([score.ssim for score in measured]),
        **_mean_lpips([score.lpips for score in measured]),
        "masked": _part_summary([score.masked for score in measured]),
        "covered": _part_summary([score.covered for score in measured]),
    }


def depth_summary(results: Sequence[DepthResult | None]) -> dict[str, Any] | None:
    """Means over the views with a true depth; None if there is none."""
    measured = [result for result in results if result is not None]
    if not measured:
        return None
    unaligned = [result.unaligned for result in measured if result.unaligned is not None]
    return {
        "views": len(measured),
        "unaligned": _depth_means(unaligned) if len(unaligned) == len(measured) else None,
        "aligned": _depth_means([result.aligned for result in measured]),
        "ause": _mean([result.ause for result in measured]),
        "ause_of_random": _mean([result.ause_of_random for result in measured]),
    }


def _part_summary(parts: Sequence[PartScore | None]) -> dict[str, Any] | None:
    measured = [part for part in parts if part is not None]
    if not measured:
        return None
    columns = ("share", "psnr", "ssim", "ssim_whole")
    means = {name: _mean([getattr(part, name) for part in measured]) for name in columns}
    return {"views": len(measured), **means, **_mean_lpips([part.lpips for part in measured])}


def _depth_means(scores: Sequence[DepthScore]) -> dict[str, Any]:
    means: dict[str, Any] = {
        name: _mean([getattr(score, name) for score in scores]) for name in ("known", "scale", "abs_rel", "rmse")
    }
    return means | {"delta": [_mean([score.delta[k] for score in scores]) for k in range(3)]}


def _mean_lpips(distances: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """For each network the mean over the views, None unless all were measured."""
    result: dict[str, float | None] = {}
    for net in distances[0]:
        known = [value for entry in distances if (value := entry[net]) is not None]
        result[f"lpips_{net}"] = _mean(known) if len(known) == len(distances) else None
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
