"""The compiled PatchMatch stereo of one view, on the CPU. Its slow twin is in `tests/kernels/patchmatch_twin.py` (compared in
`tests/kernels/test_patchmatch.py`)."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt32

from sparse3d.kernels import abi
from sparse3d.kernels.context import POOL
from sparse3d.kernels.library import check, load_library

_DTYPES = {np.dtype(np.float32): abi.FLOAT32, np.dtype(np.float64): abi.FLOAT64}


WORST_COST = 2.0
"""Cost where nothing can be said: out of sight or out of range."""


@dataclass(frozen=True)
class Planes:
    """A plane a pixel, affine in inverse depth over the image.

    Attributes:
        inverse: inverse depth at the pixel.
        slope_x, slope_y: its change a pixel to the right and down.
    """

    inverse: Float[np.ndarray, "h w"]
    slope_x: Float[np.ndarray, "h w"]
    slope_y: Float[np.ndarray, "h w"]


@dataclass(frozen=True)
class StereoView:
    """A view that the reference is matched with.

    Attributes:
        quads: of its grey image, by `pack_quads`.
        homography, shift: the reference's pixel (x, y), centres at +0.5, with inverse depth u has the homogeneous
            coordinates `homography @ (x, y, 1) + u * shift`, counted from this view's first pixel's centre.
        back_homography, back_shift: the way back, from these coordinates to the reference's.
        inverse: this view's own inverse depth, 0 where unknown, negative where masked; None when nothing is known.
        visible: weight of this view at each pixel of the reference; None for ones.
    """

    quads: UInt32[np.ndarray, "h2 w2"]
    homography: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]
    back_homography: Float[np.ndarray, "3 3"]
    back_shift: Float[np.ndarray, "3"]
    inverse: Float[np.ndarray, "h2 w2"] | None = None
    visible: Float[np.ndarray, "h w"] | None = None


@dataclass(frozen=True)
class PlanarPrior:
    """Planes that are tried at each pixel, and what it costs to be two steps away from them (0 for no opinion)."""

    planes: Planes
    weight: Float[np.ndarray, "h w"]


@dataclass(frozen=True)
class PatchmatchOptions:
    """Settings of `patchmatch`.

    Attributes:
        far_inverse, near_inverse: range of inverse depth; far may be 0.
        step: change of inverse depth that moves a pixel by about one in the other views.
        reach: perturbation of inverse depth in the first iteration, in steps; halved in each.
        iterations: each tries nine planes of the neighbourhood and six more a pixel.
        grey_share: share of the plain difference of grey in the photometric cost.
        geometric_share: cost of missing the other views' surfaces by `max_error_px`; 0 ignores them.
        max_error_px: at which the geometric cost stops growing.
        seed: of the perturbations.
        threads: the result does not depend on them.
    """

    far_inverse: float
    near_inverse: float
    step: float
    reach: float = 4.0
    iterations: int = 4
    grey_share: float = 0.15
    geometric_share: float = 0.0
    max_error_px: float = 2.0
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Matched:
    """What `patchmatch` found.

    Attributes:
        planes: the best of each pixel.
        cost: the planes' cost, with the geometric and the prior's part; 2 where nothing can be said.
        view_costs: cost in each view; 2 where it does not see the pixel.
    """

    planes: Planes
    cost: Float[np.ndarray, "h w"]
    view_costs: Float[np.ndarray, "view h w"]


def pack_quads(grey: Float[np.ndarray, "h w"]) -> UInt32[np.ndarray, "h w"]:
    """Grey values in [0, 1] as bytes, each with its neighbours right, below and below right: one read a sample."""
    byte = np.rint(np.clip(np.pad(grey, ((0, 1), (0, 1)), mode="edge"), 0, 1) * 255).astype(np.uint32)
    return byte[:-1, :-1] | byte[:-1, 1:] << 8 | byte[1:, :-1] << 16 | byte[1:, 1:] << 24


def patchmatch(
    quads: UInt32[np.ndarray, "h w"],
    mask: Bool[np.ndarray, "h w"],
    start: Planes,
    views: Sequence[StereoView],
    options: PatchmatchOptions,
    prior: PlanarPrior | None = None,
) -> Matched:
    """Planes that match best, from a start.

    Args:
        quads: of the reference's grey image.
        mask: pixels that count.
        start: in float32 or float64, which the kernel then computes in.
        views: 1 to 8.
        options: settings.
        prior: planes to be tried and preferred.

    Raises:
        KernelUnavailable: there is no compiled library.
        KernelError: it refused the arguments.
        TypeError: arrays of different dtypes or sizes.
    """
    check_arrays(quads, mask, start, views, prior)
    dtype, kept = start.inverse.dtype, []

    def address(array: np.ndarray) -> int:
        kept.append(np.ascontiguousarray(array))
        return kept[-1].ctypes.data

    planes = [a.copy() for a in (start.inverse, start.slope_x, start.slope_y)]
    cost, view_costs = np.empty(quads.shape, dtype), np.empty((len(views), *quads.shape), dtype)
    results = [a.ctypes.data for a in (*planes, cost, view_costs)]
    call = patchmatch_struct(quads, mask, dtype, views, options, prior, results, address)
    lease = POOL.acquire()
    check(load_library().s3d_stereo_patchmatch(lease.handle, call))
    lease.release()
    return Matched(Planes(*planes), cost, view_costs)


def check_arrays(
    quads: np.ndarray, mask: np.ndarray, start: Planes, views: Sequence[StereoView], prior: PlanarPrior | None
) -> None:
    """Whether sizes and dtypes fit together.

    Raises:
        TypeError: they do not.
    """
    dtype, shape = start.inverse.dtype, quads.shape
    maps = [start.inverse, start.slope_x, start.slope_y, *_prior_maps(prior)]
    maps += [v.visible for v in views if v.visible is not None]
    if dtype not in _DTYPES or any(a.dtype != dtype or a.shape != shape for a in maps) or mask.shape != shape:
        raise TypeError("patchmatch: maps of the reference's size and of one dtype expected")
    for view in views:
        if view.inverse is not None and (view.inverse.dtype != dtype or view.inverse.shape != view.quads.shape):
            raise TypeError("patchmatch: a view's inverse depth must have its size and the common dtype")


def patchmatch_struct(
    quads: np.ndarray,
    mask: np.ndarray,
    dtype: np.dtype,
    views: Sequence[StereoView],
    options: PatchmatchOptions,
    prior: PlanarPrior | None,
    results: Sequence[int],
    address: Callable[[np.ndarray], int],
) -> abi.Patchmatch:
    """The kernel's call.

    Args:
        quads, mask, views, options, prior: as in `patchmatch`, checked.
        dtype: of all maps.
        results: addresses of the planes' three maps, in and out, of the cost and of the views' costs.
        address: puts an array where the kernel can read it, keeps it there, and says where.
    """
    others = (abi.StereoView * len(views))(*(_view(v, address) for v in views))
    return abi.Patchmatch(
        *(quads.shape[1], quads.shape[0], _DTYPES[dtype], options.threads, len(views), options.iterations),
        *(options.seed, 0, address(quads), address(mask.astype(np.uint8)), others),
        *([address(a) for a in _prior_maps(prior)] or [None] * 4),
        *results,
        *(options.far_inverse, options.near_inverse, options.step, options.reach),
        *(options.grey_share, options.geometric_share, options.max_error_px),
    )


def _prior_maps(prior: PlanarPrior | None) -> list[np.ndarray]:
    if prior is None:
        return []
    return [prior.planes.inverse, prior.planes.slope_x, prior.planes.slope_y, prior.weight]


def _view(view: StereoView, address: Callable[[np.ndarray], int]) -> abi.StereoView:
    def numbers(array: np.ndarray) -> ctypes.Array:
        return (ctypes.c_double * array.size)(*(float(x) for x in array.ravel()))

    maps = (None if a is None else address(a) for a in (view.quads, view.inverse, view.visible))
    return abi.StereoView(
        *(view.quads.shape[1], view.quads.shape[0], *maps),
        *(numbers(a) for a in (view.homography, view.shift, view.back_homography, view.back_shift)),
    )
