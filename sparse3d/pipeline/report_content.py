"""What the report tells, before it is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.coverage import Coverage
from sparse3d.core.photo_check import PhotoCheck
from sparse3d.pipeline.report_pictures import Picture


@dataclass(frozen=True)
class ReportView:
    """What the report shows of one placed photo; what is None is left out.

    Attributes:
        name: the photo's.
        photo, rendering: of the same size.
        error: as `report_pictures.error_map` colours it.
        depth, confidence: in colours or grey.
        psnr, ssim: of the rendering against the photo; None where not measured.
        sure: share of the pixels whose depth is more likely right than wrong; None where not known.
        rotation_sigma_deg, position_sigma: standard deviations of the camera's direction, and of its position as a share of
            the distance to the scene; None where not known.
        warnings: sentences about this photo.
    """

    name: str
    photo: Picture | None = None
    rendering: Picture | None = None
    error: Picture | None = None
    depth: Picture | None = None
    confidence: Picture | None = None
    psnr: float | None = None
    ssim: float | None = None
    sure: float | None = None
    rotation_sigma_deg: float | None = None
    position_sigma: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportContent:
    """All that the report tells. Paths of the disk in any text are reduced to their last part.

    Attributes:
        title: such as the run's name.
        verdict: sentences in plain words, the most important one first.
        views: the placed photos, in the cameras' order.
        unplaced: (photo name, reason).
        checks: how each photo fits the others, or none.
        history: entries with iteration, loss, psnr, seconds.
        cameras: for the drawing of where they stand.
        points: of the scene, in the cameras' world, for the same drawing.
        metrics: figures, nested by at most one level; a sentence under "protocol" says how they came about.
        timings_s: wall time of each stage.
        warnings: sentences.
        settings: the resolved configuration, nested.
        versions: of what computed it.
        command: the command that makes it again.
        coverage: what the photos cover; None leaves it out.
        next_pictures: what is expected from each of the coverage's recommended places, or none.
    """

    title: str
    verdict: tuple[str, ...]
    views: tuple[ReportView, ...] = ()
    unplaced: tuple[tuple[str, str], ...] = ()
    checks: tuple[PhotoCheck, ...] = ()
    history: tuple[Mapping[str, float], ...] = ()
    cameras: Cameras | None = None
    points: Float[ndarray, "_p 3"] | None = None
    metrics: Mapping[str, object] = field(default_factory=dict)
    timings_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    coverage: Coverage | None = None
    next_pictures: tuple[Picture, ...] = ()
