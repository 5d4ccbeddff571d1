"""A finished run as the report's content."""

import shlex
import sys

from sparse3d.core.coverage import Coverage
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.io.depth_files import colour_depth
from sparse3d.io.image_files import to_bytes
from sparse3d.io.run_folder import RunFolder
from sparse3d.pipeline.outputs import TrainedView, training_metrics
from sparse3d.pipeline.report_content import ReportContent, ReportView
from sparse3d.pipeline.report_pictures import Picture, error_map
from sparse3d.pipeline.verdict import verdict


def run_report(
    run: RunFolder,
    reconstruction: Reconstruction,
    prior: GeometryPrior,
    views: list[TrainedView],
    coverage: Coverage | None,
    next_pictures: tuple[Picture, ...],
) -> ReportContent:
    """Gather what the report shows of a run."""
    provenance = reconstruction.provenance
    return ReportContent(
        title=run.root.resolve().name,
        verdict=verdict(reconstruction, prior, views),
        views=tuple(_report_view(view) for view in views),
        unplaced=provenance.unplaced,
        history=reconstruction.history,
        cameras=reconstruction.cameras,
        points=prior.points.points.double().numpy(),
        checks=prior.checks,
        metrics=training_metrics(reconstruction, views, prior.checks),
        timings_s=provenance.timings_s,
        warnings=provenance.warnings,
        settings=provenance.settings,
        versions=provenance.versions,
        command=_command(),
        coverage=coverage,
        next_pictures=next_pictures,
    )


def _report_view(view: TrainedView) -> ReportView:
    photo, rendering = to_bytes(view.photo.numpy()), to_bytes(view.rendering.numpy())
    return ReportView(
        name=view.name,
        photo=photo,
        rendering=rendering,
        error=error_map(photo, rendering),
        depth=colour_depth(view.depth.numpy()),
        confidence=to_bytes(view.confidence[..., None].expand(-1, -1, 3).numpy()),
        psnr=view.psnr,
        ssim=view.ssim,
        sure=view.sure,
        rotation_sigma_deg=view.rotation_sigma_deg,
        position_sigma=view.position_sigma,
    )


def _command() -> str:
    """The command line that made the run; paths are cut to names by the report."""
    return shlex.join(["sparse3d", *sys.argv[1:]]) if sys.argv[1:2] == ["reconstruct"] else "sparse3d.reconstruct(...)"
