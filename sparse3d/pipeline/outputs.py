"""What a finished reconstruction leaves in the run folder."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras, project
from sparse3d.core.distortion import distort_points
from sparse3d.core.geometry_prior import GeometryPrior, SparsePoints
from sparse3d.core.photo_check import PhotoCheck
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.image_metrics import psnr, ssim
from sparse3d.io.atomic import make_folder
from sparse3d.io.config_yaml import write_config
from sparse3d.io.depth_files import write_depth_npz, write_depth_png
from sparse3d.io.image_files import write_jpeg, write_png
from sparse3d.io.json_files import write_json
from sparse3d.io.run_folder import RunFolder, write_reconstruction
from sparse3d.pipeline.config import ReconstructConfig
from sparse3d.render.rasterise import RenderOptions, rasterise

SURE_CONFIDENCE = 0.5
"""Confidence from which the prior's depth counts as observed."""


def sure_share(confidence: Float[Tensor, "h w"]) -> float:
    """Share of the pixels whose depth counts as observed."""
    return float((confidence > SURE_CONFIDENCE).float().mean())


@dataclass(frozen=True)
class TrainedView:
    """A photo and what became of it, both undistorted and at the size trained on.

    Attributes:
        photo, rendering: sRGB in [0, 1].
        depth, confidence: of the prior.
        psnr, ssim: of the rendering, over the pixels that count.
        rotation_sigma_deg, position_sigma: how far the camera may be off by the prior's standard deviations, the position as
            a share of the median depth of the view; None where the prior does not tell.
    """

    name: str
    photo: Float[Tensor, "h w 3"]
    rendering: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    confidence: Float[Tensor, "h w"]
    psnr: float
    ssim: float
    rotation_sigma_deg: float | None = None
    position_sigma: float | None = None

    @property
    def sure(self) -> float:
        """Share of the pixels whose depth counts as observed."""
        return sure_share(self.confidence)


def write_outputs(
    run: RunFolder, reconstruction: Reconstruction, working: Cameras, prior: GeometryPrior, config: ReconstructConfig
) -> list[TrainedView]:
    """Write everything but the stages and the report: cameras, COLMAP model, Gaussians, depth, renderings, metrics, settings.

    Returns:
        The photos trained on beside their renderings.

    Raises:
        InputError: a file cannot be written.
    """
    views = [_trained_view(reconstruction, working, prior, index, config) for index in range(len(working))]
    for view in views:
        _write_view(run, view)
    write_json(run.metrics, training_metrics(reconstruction, views, prior.checks))
    write_config(run.config, config)
    write_reconstruction(run, reconstruction, with_errors(prior.points, reconstruction.cameras))
    return views


def with_errors(points: SparsePoints, cameras: Cameras) -> SparsePoints:
    """The same points and tracks, with the mean reprojection errors that they have in these cameras.

    The prior's errors are of its own cameras, which the joint optimisation has moved since.
    """
    off_px = torch.zeros(len(points.track_views), dtype=torch.float64)
    for view in range(len(cameras)):
        seen = points.track_views == view
        pinhole, _ = project(cameras.select([view]), points.points[points.track_points[seen]][None].double())
        where = distort_points(pinhole[0].numpy(), cameras.K[view].numpy(), cameras.distortion[view].numpy())
        off_px[seen] = (torch.from_numpy(where) - points.track_pixels[seen].double()).norm(dim=-1)
    count = torch.zeros(len(points.points), dtype=torch.float64)
    count.index_add_(0, points.track_points, torch.ones_like(off_px))
    total = torch.zeros_like(count).index_add_(0, points.track_points, off_px)
    return dataclasses.replace(points, errors_px=(total / count.clamp(min=1)).to(points.errors_px.dtype))


@torch.no_grad()
def _trained_view(
    reconstruction: Reconstruction, working: Cameras, prior: GeometryPrior, index: int, config: ReconstructConfig
) -> TrainedView:
    camera = working.select([index])
    options = RenderOptions(threads=config.threads or None, depth=False)
    output = rasterise(reconstruction.gaussians.activate(), camera.to(torch.float32), options=options)
    rendering, photo, mask = output.rgb[0].clamp(0, 1), prior.images[index], prior.masks[index]
    arrays = (rendering.double().numpy(), photo.double().numpy())
    counted = mask.numpy() > 0
    rotation_sigma, position_sigma = _pose_sigmas(prior, index)
    return TrainedView(
        name=working.names[index],
        photo=photo,
        rendering=rendering,
        depth=prior.depths[index].depth,
        confidence=prior.depths[index].confidence,
        psnr=psnr(*arrays, mask=counted),
        ssim=ssim(*arrays, mask=counted),
        rotation_sigma_deg=rotation_sigma,
        position_sigma=position_sigma,
    )


def _pose_sigmas(prior: GeometryPrior, index: int) -> tuple[float | None, float | None]:
    depth = prior.depths[index].depth
    if prior.pose_sigmas is None or not (depth > 0).any():
        return None, None
    unit = float(depth[depth > 0].median())
    return float(prior.pose_sigmas.rotation_deg[index]), float(prior.pose_sigmas.position[index]) / unit


def _write_view(run: RunFolder, view: TrainedView) -> None:
    for path in (run.photo(view.name), run.rendering(view.name), run.depth(view.name)):
        make_folder(path.parent)
    write_jpeg(run.photo(view.name), view.photo.numpy())
    write_png(run.rendering(view.name), view.rendering.numpy())
    write_depth_npz(run.depth(view.name), view.depth.numpy(), view.confidence.numpy())
    write_depth_png(run.depth_picture(view.name), view.depth.numpy())


def training_metrics(reconstruction: Reconstruction, views: list[TrainedView], checks: Sequence[PhotoCheck]) -> dict:
    """What can be measured without held-out photos: the fit to the photos themselves, which flatters."""
    return {
        "protocol": "fit to the photos trained on, undistorted, at the size trained on; says nothing of other views",
        "views": {v.name: {"psnr": _finite(v.psnr), "ssim": _finite(v.ssim)} for v in views},
        "psnr": _finite(sum(v.psnr for v in views) / len(views)),
        "ssim": _finite(sum(v.ssim for v in views) / len(views)),
        "gaussians": len(reconstruction.gaussians),
        "placed": list(reconstruction.cameras.names),
        "unplaced": dict(reconstruction.provenance.unplaced),
        "confident_pixels": {v.name: v.sure for v in views},
        "rotation_sigma_deg": {v.name: v.rotation_sigma_deg for v in views},
        "position_sigma_of_depth": {v.name: v.position_sigma for v in views},
        "checks": {c.name: {k: v for k, v in asdict(c).items() if k != "name"} for c in checks},
        "seconds": reconstruction.provenance.timings_s,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
