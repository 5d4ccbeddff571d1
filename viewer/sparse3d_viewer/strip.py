"""A training photo, its rendering now, and their difference, side by side."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from sparse3d.io.image_files import to_bytes
from sparse3d.optim.progress import Snapshot
from sparse3d.render.rasterise import RenderOptions, rasterise
from sparse3d_viewer.layers import ERROR_RANGE
from sparse3d_viewer.scales import turbo

STRIP_SIDE = 200
"""Pixels of each picture's longer side: the panel is not wider, and the optimisation needs the processor."""


@torch.no_grad()
def comparison_strip(snapshot: Snapshot, photo: Float[torch.Tensor, "h w 3"], view: int) -> NDArray[np.uint8]:
    """Photo, rendering and difference below one another.

    Args:
        photo: sRGB in [0, 1], of the size trained on.
        view: index of the photo's camera.
    """
    height, width = photo.shape[:2]
    factor = min(1.0, STRIP_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    camera = snapshot.cameras.select([view]).resized([size]).to(torch.float32)
    # One thread: the optimisation runs at the same time.
    output = rasterise(snapshot.gaussians.activate(), camera, options=RenderOptions(depth=False, threads=1))
    rendering = output.rgb[0].clamp(0, 1).numpy()
    small = (
        torch.nn.functional.interpolate(photo.permute(2, 0, 1)[None].float(), size=size[::-1], mode="area")[0]
        .permute(1, 2, 0)
        .numpy()
    )
    difference = turbo(np.abs(small - rendering).mean(-1), *ERROR_RANGE)
    return np.concatenate([to_bytes(small), to_bytes(rendering), difference], 0 if width >= height else 1)
