"""The compiled rasteriser for NVIDIA GPUs."""

from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels.library import KernelUnavailable
from sparse3d.render.options import RenderOptions, RenderOutput


def rasterise_cuda(
    gaussians: Gaussians,
    cameras: Cameras,
    features: Float[Tensor, "n c"] | None,
    masks: Bool[Tensor, "view h w"] | None,
    options: RenderOptions,
    width: int,
    height: int,
) -> RenderOutput:
    """Draw all views in one launch; see `sparse3d.render.rasterise.rasterise`.

    Raises:
        KernelUnavailable: always, in this version.
    """
    raise KernelUnavailable(
        "the rasteriser for GPUs is not in this version: use the backend 'gsplat' (pip install 'sparse3d[gsplat]'), or "
        "'reference', or move the Gaussians to the CPU"
    )
