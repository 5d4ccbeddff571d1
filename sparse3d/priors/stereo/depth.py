"""Depth of every view from its neighbours: the geometry half of the built-in prior."""

import numpy as np
import torch
from jaxtyping import Float

from sparse3d.core.cameras import Cameras
from sparse3d.core.distortion import undistort_image, undistort_mask, undistorted_camera
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior, ViewDepth
from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.plane_sweep import PosedImage
from sparse3d.priors.stereo.reconcile import Surface
from sparse3d.priors.stereo.surfaces import estimate_surfaces


def estimate_depth(cameras: CameraPrior, images: ImageSet, config: DepthConfig) -> GeometryPrior:
    """Dense depth with confidence for every placed view.

    Args:
        cameras: at least two placed views with known intrinsics, and sparse points where there are any.
        images: the photos; those without a camera are ignored.
        config: settings.

    Returns:
        Undistorted images of at most `max_side`, complete depth, confidence (at most 0.2 where no other view agrees)
        and support.

    Raises:
        ValueError: fewer than two views, or a camera that is not finite.
        InputError: all cameras stand in one place.
    """
    if len(cameras.cameras) < 2:
        raise ValueError(f"depth needs at least 2 placed views, got {len(cameras.cameras)}")
    if not (torch.isfinite(cameras.cameras.K).all() and torch.isfinite(cameras.cameras.cam_from_world).all()):
        raise ValueError("depth needs finite intrinsics and poses of all placed views")
    views, pinholes = load_views(cameras.cameras, images, config.max_side)
    surfaces = estimate_surfaces(views, cameras.points, config)
    return GeometryPrior(
        cameras=pinholes,
        depths=tuple(_view_depth(view, surface) for view, surface in zip(views, surfaces, strict=True)),
        images=tuple(torch.from_numpy(view.colour) for view in views),
        masks=tuple(torch.from_numpy(view.mask.astype(np.float32)) for view in views),
        full_cameras=cameras.cameras,
        points=cameras.points,
        unplaced=cameras.unplaced,
        warnings=cameras.warnings,
        source=cameras.source,
        scale_kind="global",
        pose_sigmas=cameras.pose_sigmas,
    )


def load_views(cameras: Cameras, images: ImageSet, max_side: int) -> tuple[list[PosedImage], Cameras]:
    """Undistort and shrink the photos of some cameras; also the pinholes that the results have."""
    views, intrinsics, sizes = [], [], []
    for index, photo in enumerate(images.select(cameras.names).photos):
        K = cameras.K[index].double().numpy()
        distortion = cameras.distortion[index].double().numpy()
        new_K, new_size = undistorted_camera(K, distortion, cameras.sizes[index], max_side)
        colour, inside = undistort_image(images.read_pixels(photo), K, distortion, new_K, new_size)
        mask = (inside > 0.5) & (undistort_mask(images.read_mask(photo), K, distortion, new_K, new_size) > 0.5)
        views.append(PosedImage.build(colour, mask, new_K, cameras.cam_from_world[index].double().numpy()))
        intrinsics.append(torch.from_numpy(new_K))
        sizes.append(new_size)
    pinholes = cameras.replace(
        K=torch.stack(intrinsics).to(cameras.K.dtype),
        sizes=tuple(sizes),
        distortion=torch.zeros_like(cameras.distortion),
    )
    return views, pinholes


def _view_depth(view: PosedImage, surface: Surface) -> ViewDepth:
    """From inverse depth to depth, as tensors."""
    known = surface.inverse > 0
    depth: Float[np.ndarray, "h w"] = np.where(known, 1 / np.where(known, surface.inverse, 1), 0).astype(np.float32)
    return ViewDepth(
        depth=torch.from_numpy(depth),
        confidence=torch.from_numpy(np.where(known, surface.confidence, 0).astype(np.float32)),
        support=torch.from_numpy(np.where(known, surface.support, 0).astype(np.int64)),
    )
