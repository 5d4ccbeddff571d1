"""The compiled rasteriser as a differentiable torch function. Its slow twin is `sparse3d.render.reference`
(compared in `tests/render/test_contract.py`)."""

import ctypes
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.kernels import abi
from sparse3d.kernels.context import POOL, Lease
from sparse3d.kernels.library import check, load_library

_DTYPES = {torch.float32: abi.FLOAT32, torch.float64: abi.FLOAT64}


@dataclass(frozen=True)
class KernelSettings:
    """How views are drawn; see `sparse3d.render.RenderOptions` for the meaning of each field."""

    width: int
    height: int
    background: tuple[float, float, float]
    near: float
    eps2d: float
    antialias: bool
    threads: int
    with_depth: bool = True
    with_median_depth: bool = False
    with_normals: bool = False
    with_statistics: bool = False
    masks: Bool[Tensor, "view h w"] | None = None


@dataclass(frozen=True)
class KernelImages:
    """What the kernel draws; None for what was not asked for. `depth` is the mean z."""

    rgb: Float[Tensor, "view h w 3"]
    alpha: Float[Tensor, "view h w"]
    depth: Float[Tensor, "view h w"] | None
    median_depth: Float[Tensor, "view h w"] | None
    normals: Float[Tensor, "view h w 3"] | None
    values: Float[Tensor, "view h w c"] | None
    radii: Float[Tensor, "view n"] | None
    weight_sum: Float[Tensor, "view n"] | None
    weight_max: Float[Tensor, "view n"] | None


def rasterise_views(
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
    """Draw every view; gradients reach all tensors, cameras included.

    The Gaussians' tensors share one dtype, float32 or float64 (slow: for tests), and that is the images' dtype; the
    cameras may be of either. `centre_gradients`, if given, is filled by the backward pass with the loss's gradient to
    the projected centres, in pixels.
    """
    dtype = means.dtype
    if dtype not in _DTYPES:
        raise TypeError(f"Gaussians of {dtype}: the compiled rasteriser takes float32 and float64")
    inputs = (means, quats_wxyz, scales, opacities, sh, *(() if values is None else (values,)))
    if any(t.dtype != dtype for t in inputs):
        raise TypeError(f"Gaussians of several dtypes: {[str(t.dtype) for t in inputs]}")
    if any(t.device.type != "cpu" for t in (*inputs, cam_from_world, K)):
        raise ValueError("the cpu rasteriser takes tensors on the CPU")
    if settings.masks is not None and settings.masks.shape != (len(cam_from_world), settings.height, settings.width):
        raise ValueError(
            f"masks of shape {tuple(settings.masks.shape)}, expected "
            f"{(len(cam_from_world), settings.height, settings.width)}"
        )
    no_values = means.new_empty(len(means), 0) if values is None else values
    rgb, alpha, depth, median_depth, normals, drawn, radii, weight_sum, weight_max = _Rasterise.apply(
        means, quats_wxyz, scales, opacities, sh, no_values, cam_from_world, K, settings, centre_gradients
    )
    with_statistics = settings.with_statistics
    return KernelImages(
        rgb,
        alpha,
        depth if settings.with_depth else None,
        median_depth if settings.with_median_depth else None,
        normals if settings.with_normals else None,
        None if values is None else drawn,
        radii if with_statistics else None,
        weight_sum if with_statistics else None,
        weight_max if with_statistics else None,
    )


def pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None or tensor.numel() == 0 else tensor.data_ptr()


def gaussians_struct(arrays: tuple[Tensor, ...]) -> abi.Gaussians:
    means, quats, scales, opacities, sh, values = arrays
    return abi.Gaussians(
        count=len(means),
        dtype=_DTYPES[means.dtype],
        sh_coefficients=sh.shape[1],
        features=values.shape[1],
        means=pointer(means),
        quats=pointer(quats),
        scales=pointer(scales),
        opacities=pointer(opacities),
        sh=pointer(sh),
        values=pointer(values),
    )


def _view_struct(
    pose: list[list[float]], k: list[list[float]], settings: KernelSettings, mask: Tensor | None
) -> abi.View:
    return abi.View(
        width=settings.width,
        height=settings.height,
        antialias=settings.antialias,
        with_depth=settings.with_depth,
        with_median_depth=settings.with_median_depth,
        with_normals=settings.with_normals,
        with_statistics=settings.with_statistics,
        threads=settings.threads,
        mask=None if mask is None else pointer(mask),
        cam_from_world=(ctypes.c_double * 12)(*pose[0], *pose[1], *pose[2]),
        fx=k[0][0],
        fy=k[1][1],
        cx=k[0][2],
        cy=k[1][2],
        near_plane=settings.near,
        eps2d=settings.eps2d,
        background=(ctypes.c_double * 3)(*settings.background),
    )


def _image_struct(images: tuple[Tensor | None, ...], view: int) -> abi.Image:
    return abi.Image(*(None if t is None else pointer(t[view]) for t in images))


_IMAGES = ("rgb", "alpha", "depth", "median_depth", "normals", "values")
"""The order of the images in the C struct and in the function below."""


def _empty_images(like: Tensor, views: int, features: int, settings: KernelSettings) -> tuple[Tensor, ...]:
    """One tensor for each of `_IMAGES`; without elements where it is not drawn."""
    channels = (3, 1, settings.with_depth, settings.with_median_depth, 3 * settings.with_normals, features)
    shape = (views, settings.height, settings.width)
    return tuple(
        like.new_empty(shape if name in ("alpha", "depth", "median_depth") and count else (*shape, count))
        for name, count in zip(_IMAGES, channels, strict=True)
    )


def _drawn(images: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    return tuple(image if image.numel() else None for image in images)


class _Rasterise(torch.autograd.Function):
    """One node for all views, so that the Gaussians' gradients are summed inside the kernel."""

    @staticmethod
    def forward(ctx, means, quats, scales, opacities, sh, values, cam_from_world, K, settings, centre_gradients):
        arrays = tuple(t.detach().contiguous() for t in (means, quats, scales, opacities, sh, values))
        views, n = len(cam_from_world), len(means)
        images = _empty_images(means, views, values.shape[1], settings)
        statistics = tuple(means.new_zeros(views, n if settings.with_statistics else 0) for _ in range(3))
        masks = [None] * views if settings.masks is None else list(settings.masks.contiguous())
        gaussians = gaussians_struct(arrays)
        structs = [
            _view_struct(p, k, settings, mask)
            for p, k, mask in zip(cam_from_world.detach().tolist(), K.detach().tolist(), masks, strict=True)
        ]
        leases: list[Lease] = []
        keep = any(ctx.needs_input_grad)
        for view, struct in enumerate(structs):
            if keep or not leases:
                leases.append(POOL.acquire())
            figures = abi.Statistics(*(pointer(s[view]) for s in statistics)) if settings.with_statistics else None
            check(
                load_library().s3d_forward(
                    leases[-1].handle,
                    gaussians,
                    struct,
                    _image_struct(_drawn(images), view),
                    figures,
                )
            )
        if keep:
            ctx.save_for_backward(*arrays, *images)
            ctx.leases, ctx.structs, ctx.masks = leases, structs, masks
            ctx.centre_gradients = centre_gradients
            ctx.camera_dtypes = (cam_from_world.dtype, K.dtype)
        else:
            for lease in leases:
                lease.release()
        ctx.mark_non_differentiable(*statistics)
        ctx.set_materialize_grads(False)
        return *images, *statistics

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *upstream_and_statistics):
        arrays, images = ctx.saved_tensors[: -len(_IMAGES)], ctx.saved_tensors[-len(_IMAGES) :]
        upstream = tuple(None if g is None else g.contiguous() for g in upstream_and_statistics[: len(_IMAGES)])
        if upstream[0] is None:
            upstream = (torch.zeros_like(images[0]), *upstream[1:])
        views = len(ctx.structs)
        gradients = tuple(torch.zeros_like(a) if views == 0 else torch.empty_like(a) for a in arrays)
        pose, intrinsics = torch.zeros(views, 4, 4, dtype=torch.float64), torch.zeros(views, 3, 3, dtype=torch.float64)
        gaussians = gaussians_struct(tuple(arrays))
        for view, (struct, lease) in enumerate(zip(ctx.structs, ctx.leases, strict=True)):
            out = abi.Gradients(*(pointer(g) for g in gradients), accumulate=view > 0)
            if ctx.centre_gradients is not None:
                out.centres = pointer(ctx.centre_gradients[view])
            check(
                load_library().s3d_backward(
                    lease.handle,
                    gaussians,
                    struct,
                    _image_struct(_drawn(images), view),
                    _image_struct(upstream, view),
                    out,
                )
            )
            pose[view, :3] = torch.tensor(list(out.cam_from_world), dtype=torch.float64).reshape(3, 4)
            fx, fy, cx, cy = out.intrinsics
            intrinsics[view, :2] = torch.tensor([[fx, 0.0, cx], [0.0, fy, cy]], dtype=torch.float64)
        pose_dtype, k_dtype = ctx.camera_dtypes
        return (*gradients, pose.to(pose_dtype), intrinsics.to(k_dtype), None, None)
