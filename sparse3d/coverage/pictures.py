"""The pictures that cameras would take of a reconstruction, told by what they show of its patches."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.coverage.information import view_information, working_camera
from sparse3d.coverage.patches import Patches
from sparse3d.coverage.seen import Seen
from sparse3d.render.rasterise import RenderOptions


@dataclass(frozen=True)
class Pictures:
    """Pictures, taken or not, and what they show of a scene's patches.

    Attributes:
        position: J^T J of each patch, see `information.ViewInformation`.
        weight: pixels that it covers.
        seen: share of its Gaussians that the picture sees, in [0, 1].
        rays: mean unit vector from the camera to it.
        unknown_px: pixels where nothing is rendered.
        pixels: of each picture.
        shown: pixels that each Gaussian, not patch, covers in them.
    """

    position: Float[Tensor, "view p 3 3"]
    weight: Float[Tensor, "view p"]
    seen: Float[Tensor, "view p"]
    rays: Float[Tensor, "view p 3"]
    unknown_px: Float[Tensor, " view"]
    pixels: Float[Tensor, " view"]
    shown: Float[Tensor, "view n"]

    def select(self, views: Sequence[int]) -> "Pictures":
        """Some of the pictures."""
        return Pictures(**{f.name: getattr(self, f.name)[list(views)] for f in dataclasses.fields(self)})


def pictures_of(
    scene: Reconstruction,
    cameras: Cameras,
    seen: Seen,
    patches: Patches,
    *,
    probes: int,
    generator: torch.Generator,
    options: RenderOptions,
) -> Pictures:
    """What each camera shows of the patches.

    Args:
        cameras: in the scene's world.
        seen: the scene's Gaussians in these cameras.
        patches: the scene's.
        probes, generator, options: as for `view_information`.
    """
    gaussians = scene.gaussians.activate()
    sizes = [working_camera(cameras.select([i])).sizes[0] for i in range(len(cameras))]
    found, shown = [], []
    for i in range(len(cameras)):
        camera = working_camera(cameras.select([i]))
        one = view_information(gaussians, camera, probes=probes, generator=generator, options=options)
        found.append((patches.total(one.position), patches.total(one.weight)))
        shown.append(one.weight)
    pixels = torch.tensor([float(width * height) for width, height in sizes])
    weight = torch.stack([w for _, w in found])
    return Pictures(
        position=torch.stack([p for p, _ in found]),
        weight=weight,
        seen=torch.stack([patches.mean(by.float()) for by in seen.by]),
        rays=torch.nn.functional.normalize(torch.stack([patches.mean(rays) for rays in seen.rays]), dim=-1),
        unknown_px=(pixels - weight.sum(1)).clamp(min=0),
        pixels=pixels,
        shown=torch.stack(shown),
    )
