"""Which photos saw each Gaussian, and from how different directions."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.coverage.information import working_camera
from sparse3d.eval.coverage import seeing_view, sees
from sparse3d.render.rasterise import RenderOptions


@dataclass(frozen=True)
class Seen:
    """How the photos saw the Gaussians.

    Attributes:
        by: whether a view saw a Gaussian: its centre lies in the picture and not behind what is rendered there.
        rays: unit vectors from the cameras' centres to the Gaussians.
        distance: between the two, in scene units.
    """

    by: Bool[Tensor, "view n"]
    rays: Float[Tensor, "view n 3"]
    distance: Float[Tensor, "view n"]

    @property
    def count(self) -> Int[Tensor, " n"]:
        """By how many views each Gaussian was seen."""
        return self.by.sum(0)

    def largest_angle_deg(self) -> Float[Tensor, " n"]:
        """The largest angle at a Gaussian between two views that saw it; 0 where fewer than two did."""
        smallest = torch.ones_like(self.distance[0])
        for i in range(len(self.by)):
            for j in range(i):
                cosine = (self.rays[i] * self.rays[j]).sum(-1).clamp(-1, 1)
                smallest = torch.where(self.by[i] & self.by[j], torch.minimum(smallest, cosine), smallest)
        return torch.rad2deg(torch.arccos(smallest))


def seen_by(scene: Reconstruction, cameras: Cameras, options: RenderOptions) -> Seen:
    """Which of these cameras see which Gaussian of a scene.

    Args:
        cameras: in the scene's world, poses and intrinsics known; those of its photos, or others.
        options: of a backend that draws the median depth.
    """
    means = scene.gaussians.means.detach().cpu()
    world, finite = means.double().numpy(), np.ones(len(means), bool)
    found: list[Bool[ndarray, " n"]] = []
    for i in range(len(cameras)):
        # The pinhole is at once the camera and its own cover: what a lens with distortion shows at its edge counts as seen.
        found.append(sees(seeing_view(scene, working_camera(cameras.select([i])), options), world, finite))
    offsets = means[None] - cameras.centres.to(means)[:, None]
    distance = offsets.norm(dim=-1)
    return Seen(torch.from_numpy(np.stack(found)), offsets / distance.clamp(min=1e-12)[..., None], distance)
