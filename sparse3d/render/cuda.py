"""The compiled rasteriser for NVIDIA GPUs behind the common interface (`cuda/gpu`, called by
`sparse3d.kernels.cuda_rasteriser`)."""

from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels.cuda_rasteriser import rasterise_views_cuda
from sparse3d.render.compiled import draw_compiled
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
    """Draw all views in one launch; see `sparse3d.render.rasterise.rasterise`."""
    return draw_compiled(rasterise_views_cuda, gaussians, cameras, features, masks, options, width, height)
