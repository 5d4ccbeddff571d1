"""The rasteriser for NVIDIA GPUs as a differentiable torch function: all views in one launch, on torch's stream. Its slow
twin is `sparse3d.render.reference` (compared in `tests/kernels/test_cuda_emulation.py` without a GPU, in `tests/gpu` on
one)."""

import ctypes
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.kernels import abi, cuda_abi
from sparse3d.kernels.context import Lease
from sparse3d.kernels.cuda_context import is_capturing, keep_if_captured, pool_of, stream_of
from sparse3d.kernels.cuda_library import check, load_library, tensor_device
from sparse3d.kernels.rasteriser import KernelImages, KernelSettings, gaussians_struct, pointer

_DTYPES = {torch.float32: abi.FLOAT32, torch.float64: abi.FLOAT64}


def rasterise_views_cuda(
    means: Float[Tensor, "n 3"],
    quats_wxyz: Float[Tensor, "n 4"],
    scales: Float[Tensor, "n 3"],
    opacities: Float[Tensor, " n"],
    sh: Float[Tensor, "n k 3"],
    values: Float[Tensor, "n c"] | None,
    cam_from_world: Float[Tensor, "view 4 4"],
    K: Float[Tensor, "view 3 3"],
    settings: KernelSettings,
    centre_gradients: Float[Tensor, "view n 2"] | None = None,
) -> KernelImages:
    """Draw every view; gradients reach all tensors, cameras included, and stay on the device.

    As `sparse3d.kernels.rasteriser.rasterise_views`, for tensors on one GPU, in float32. Nothing is copied to the host but
    the number of splat-tile pairs, for which the host waits while the GPU draws; in the capture of a CUDA graph not even
    that (see docs/gpu.md).
    """
    inputs = (means, quats_wxyz, scales, opacities, sh, *(() if values is None else (values,)))
    if means.dtype not in _DTYPES or any(t.dtype != means.dtype for t in inputs):
        raise TypeError(
            f"the cuda rasteriser takes Gaussians of one dtype, float32: got {[str(t.dtype) for t in inputs]}"
        )
    if cam_from_world.dtype not in _DTYPES or K.dtype not in _DTYPES:
        raise TypeError(f"cameras of {cam_from_world.dtype} and {K.dtype}: expected float32 or float64")
    wanted, masks = tensor_device(), settings.masks
    everything = (*inputs, cam_from_world, K, *(() if masks is None else (masks,)))
    if any(t.device.type != wanted or t.device != means.device for t in everything):
        places = sorted({str(t.device) for t in everything})
        raise ValueError(f"the cuda rasteriser takes Gaussians, cameras and masks on one {wanted} device, got {places}")
    if masks is not None and masks.shape != (len(cam_from_world), settings.height, settings.width):
        expected = (len(cam_from_world), settings.height, settings.width)
        raise ValueError(f"masks of shape {tuple(masks.shape)}, expected {expected}")
    no_values = means.new_empty(len(means), 0) if values is None else values
    rgb, alpha, depth, median_depth, normals, drawn, *statistics = _RasteriseCuda.apply(
        means, quats_wxyz, scales, opacities, sh, no_values, cam_from_world, K, settings, centre_gradients
    )
    radii, weight_sum, weight_max = statistics if settings.with_statistics else (None, None, None)
    return KernelImages(
        rgb,
        alpha,
        depth if settings.with_depth else None,
        median_depth if settings.with_median_depth else None,
        normals if settings.with_normals else None,
        None if values is None else drawn,
        radii,
        weight_sum,
        weight_max,
    )


@dataclass(frozen=True)
class _Cameras:
    """Detached and dense; kept alive while the kernels may read them."""

    cam_from_world: Tensor
    K: Tensor
    masks: Tensor | None

    @staticmethod
    def of(cam_from_world: Tensor, k: Tensor, masks: Tensor | None) -> "_Cameras":
        dtype = torch.promote_types(cam_from_world.dtype, k.dtype)
        return _Cameras(
            cam_from_world.detach().to(dtype).contiguous(),
            k.detach().to(dtype).contiguous(),
            None if masks is None else masks.to(torch.uint8).contiguous(),
        )

    def struct(self, settings: KernelSettings) -> cuda_abi.Views:
        return cuda_abi.Views(
            count=len(self.K),
            width=settings.width,
            height=settings.height,
            camera_dtype=_DTYPES[self.K.dtype],
            antialias=settings.antialias,
            with_depth=settings.with_depth,
            with_median_depth=settings.with_median_depth,
            with_normals=settings.with_normals,
            wait=not is_capturing(self.K.device),
            cam_from_world=self.cam_from_world.data_ptr(),
            intrinsics=self.K.data_ptr(),
            masks=pointer(self.masks),
            near_plane=settings.near,
            eps2d=settings.eps2d,
            background=(ctypes.c_double * 3)(*settings.background),
            stream=stream_of(self.K.device),
        )


def _image_struct(images: tuple[Tensor | None, ...]) -> abi.Image:
    return abi.Image(*(pointer(image) for image in images))


def _new_images(means: Tensor, views: int, features: int, settings: KernelSettings) -> tuple[Tensor, ...]:
    """rgb, alpha, depth, median depth, normals, values; those that were not asked for have no elements."""
    h, w, s = settings.height, settings.width, settings
    shapes = (
        (views, h, w, 3),
        (views, h, w),
        (views, h, w) if s.with_depth else (0,),
        (views, h, w) if s.with_median_depth else (0,),
        (views, h, w, 3) if s.with_normals else (0,),
        (views, h, w, features),
    )
    return tuple(means.new_empty(shape) for shape in shapes)


class _RasteriseCuda(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, scales, opacities, sh, values, cam_from_world, K, settings, centre_gradients):
        arrays = tuple(t.detach().contiguous() for t in (means, quats, scales, opacities, sh, values))
        cameras = _Cameras.of(cam_from_world, K, settings.masks)
        views, n = len(K), len(means)
        images = _new_images(means, views, values.shape[1], settings)
        statistics = tuple(means.new_zeros(views, n if settings.with_statistics else 0) for _ in range(3))
        lease = keep_if_captured(pool_of(means.device).acquire(), means.device)
        figures = abi.Statistics(*(pointer(s) for s in statistics)) if settings.with_statistics else None
        _forward(lease, gaussians_struct(arrays), cameras.struct(settings), _image_struct(images), figures)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(*arrays, *images)
            ctx.lease, ctx.cameras, ctx.settings, ctx.centre_gradients = lease, cameras, settings, centre_gradients
            ctx.camera_dtypes = (cam_from_world.dtype, K.dtype)
        elif not is_capturing(means.device):
            lease.release()
        ctx.mark_non_differentiable(*statistics)
        ctx.set_materialize_grads(False)
        return *images, *statistics

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *upstream):
        arrays, images = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
        given = tuple(None if g is None else g.contiguous() for g in upstream[:6])
        gradients = tuple(torch.empty_like(a) for a in arrays)
        views, double = len(ctx.cameras.K), {"dtype": torch.float64, "device": arrays[0].device}
        for_pose, for_k = ctx.needs_input_grad[6:8]
        pose = torch.empty(views, 4, 4, **double) if for_pose else None
        intrinsics = torch.empty(views, 3, 3, **double) if for_k else None
        out = cuda_abi.Gradients(
            *(pointer(g) for g in gradients), pointer(ctx.centre_gradients), pointer(pose), pointer(intrinsics)
        )
        check(
            load_library().s3d_cuda_backward(
                ctx.lease.handle,
                gaussians_struct(arrays),
                ctx.cameras.struct(ctx.settings),
                _image_struct(images),
                _image_struct(given),
                out,
            )
        )
        pose_dtype, k_dtype = ctx.camera_dtypes
        for_cameras = (
            None if pose is None else pose.to(pose_dtype),
            None if intrinsics is None else intrinsics.to(k_dtype),
        )
        return (*gradients, *for_cameras, None, None)


def _forward(
    lease: Lease,
    gaussians: abi.Gaussians,
    views: cuda_abi.Views,
    images: abi.Image,
    statistics: abi.Statistics | None,
) -> None:
    """Draw; if memory is short, once more without what torch holds but does not use."""
    draw = load_library().s3d_cuda_forward
    try:
        check(draw(lease.handle, gaussians, views, images, statistics))
    except MemoryError:
        if not torch.cuda.is_available() or torch.cuda.is_current_stream_capturing():
            raise
        torch.cuda.empty_cache()
        check(draw(lease.handle, gaussians, views, images, statistics))
