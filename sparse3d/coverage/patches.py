"""Small patches of surface: Gaussians that lie side by side are known together.

A Gaussian is about a pixel large, and the few pixels that show it hardly tell its distance. Stereo compares windows: what fixes
a surface is all that is seen around it. The Gaussians that one photo shows in one small square are taken to move together, so
that their information adds up.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparse3d.core.cameras import Cameras, project
from sparse3d.coverage.information import working_camera
from sparse3d.coverage.seen import Seen

PATCH_PX = 4.0
"""Side of the square in pixels of the working size: about 1.5 % of the longer side of a photo, a window of stereo matching."""


@dataclass(frozen=True)
class Patches:
    """Which Gaussians belong together.

    Attributes:
        of: the patch of each Gaussian, 0 to `count` - 1.
        count: number of patches.
        centres: mean position of each patch's Gaussians.
        distance: from each patch to the nearest camera that saw it; of the nearest camera where none did.
    """

    of: Int[Tensor, " n"]
    count: int
    centres: Float[Tensor, "p 3"]
    distance: Float[Tensor, " p"]

    def total(self, values: Float[Tensor, "n *c"]) -> Float[Tensor, "p *c"]:
        """Sum of the Gaussians' figures in each patch."""
        return values.new_zeros(self.count, *values.shape[1:]).index_add_(0, self.of, values)

    def mean(self, values: Float[Tensor, "n *c"]) -> Float[Tensor, "p *c"]:
        """Mean of the Gaussians' figures in each patch."""
        size = torch.bincount(self.of, minlength=self.count).to(values)
        return self.total(values) / size.reshape(-1, *[1] * (values.dim() - 1))


def find_patches(means: Float[Tensor, "n 3"], cameras: Cameras, seen: Seen) -> Patches:
    """Squares in the nearest photo that saw each Gaussian; what no photo saw is kept apart from what one did.

    Args:
        means: the Gaussians' centres.
        cameras: of the photos.
        seen: the same Gaussians in the same cameras.
    """
    known = seen.by.any(0)
    distance = torch.where(seen.by | ~known, seen.distance, torch.inf)
    nearest = distance.argmin(0)
    square = torch.zeros(len(means), 2, dtype=torch.int64)
    for i in range(len(cameras)):
        mine = nearest == i
        pixels, _ = project(working_camera(cameras.select([i])), means[mine][None].double())
        square[mine] = (pixels[0].nan_to_num(0).clamp(-1e5, 1e5) / PATCH_PX).floor().long()
    keys = torch.cat([nearest[:, None], known.long()[:, None], square], 1)
    unique, of = torch.unique(keys, dim=0, return_inverse=True)
    bare = Patches(of, len(unique), means.new_zeros(0, 3), means.new_zeros(0))
    return Patches(of, len(unique), bare.mean(means), bare.mean(distance.amin(0)))
