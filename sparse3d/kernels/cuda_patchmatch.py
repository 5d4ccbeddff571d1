"""PatchMatch stereo of one view on NVIDIA GPUs. Its slow twin is `sparse3d.kernels.patchmatch.patchmatch` (compared in
`tests/kernels/test_cuda_patchmatch.py` without a GPU, in `tests/gpu` on one)."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, UInt32

from sparse3d.kernels.cuda_context import pool_of, stream_of
from sparse3d.kernels.cuda_library import check, device_count, load_library, tensor_device
from sparse3d.kernels.library import KernelUnavailable
from sparse3d.kernels.patchmatch import (
    Matched,
    PatchmatchOptions,
    PlanarPrior,
    Planes,
    StereoView,
    check_arrays,
    patchmatch_struct,
)


def require_gpu() -> None:
    """Make sure that `patchmatch_cuda` can run.

    Raises:
        KernelUnavailable: the library, the driver, a GPU or a torch that uses it is missing; the message says what to do.
    """
    device_count()
    if tensor_device() == "cuda" and not torch.cuda.is_available():
        raise KernelUnavailable(
            f"torch {torch.__version__} cannot use the GPU: install a CUDA build of torch that suits the driver "
            "(torch.cuda.is_available() must be true), or match stereo on the device 'cpu'"
        )


def patchmatch_cuda(
    quads: UInt32[np.ndarray, "h w"],
    mask: Bool[np.ndarray, "h w"],
    start: Planes,
    views: Sequence[StereoView],
    options: PatchmatchOptions,
    prior: PlanarPrior | None = None,
) -> Matched:
    """As `sparse3d.kernels.patchmatch.patchmatch`, on torch's current GPU, in float32. Arrays go there and come back; the
    host waits. Ties may fall to another plane than on the CPU, as rounding differs.

    Raises:
        KernelUnavailable: see `require_gpu`.
        MemoryError: the GPU's memory is too small.
        KernelError: the library refused the arguments, or the GPU failed.
        TypeError: arrays of different dtypes or sizes.
    """
    require_gpu()
    check_arrays(quads, mask, start, views, prior)
    device, kept = torch.device(tensor_device()), []

    def put(array: np.ndarray) -> torch.Tensor:
        # A copy, as torch shares no memory that cannot be written; it knows int32 better than uint32.
        fresh = np.array(array, order="C")
        return torch.from_numpy(fresh.view(np.int32) if fresh.dtype == np.uint32 else fresh).to(device)

    def address(array: np.ndarray) -> int:
        kept.append(put(array))
        return kept[-1].data_ptr()

    planes = [put(a) for a in (start.inverse, start.slope_x, start.slope_y)]
    cost, view_costs = torch.empty_like(planes[0]), planes[0].new_empty(len(views), *quads.shape)
    results = [t.data_ptr() for t in (*planes, cost, view_costs)]
    call = patchmatch_struct(quads, mask, start.inverse.dtype, views, options, prior, results, address)
    lease = pool_of(device).acquire()
    check(load_library().s3d_cuda_patchmatch(lease.handle, call, stream_of(device)))
    lease.release()
    inverse, slope_x, slope_y, of_planes, of_views = (t.cpu().numpy() for t in (*planes, cost, view_costs))
    return Matched(Planes(inverse, slope_x, slope_y), of_planes, of_views)
