"""What the photos of a scene know, and what cameras elsewhere would add."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sparse3d.core.cameras import Cameras, concatenate
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.coverage.gains import Planner
from sparse3d.coverage.information import noise_variance
from sparse3d.coverage.patches import Patches, find_patches
from sparse3d.coverage.pictures import Pictures, pictures_of
from sparse3d.coverage.seen import Seen, seen_by
from sparse3d.render.rasterise import RenderOptions

PROBES = 4
"""Random pictures a view; a patch's information sums over its dozen Gaussians, which evens the estimate out further."""


@dataclass(frozen=True)
class Plan:
    """All that is needed to say what a scene's photos cover and what others would add.

    Attributes:
        seen: the Gaussians in the photos.
        patches: of the Gaussians.
        pictures: the photos', then the candidates'.
        variance: of the photos' residuals.
        photos: number of photos.
    """

    seen: Seen
    patches: Patches
    pictures: Pictures
    variance: float
    photos: int

    @property
    def candidates(self) -> list[int]:
        """The candidates' indices among the pictures."""
        return list(range(self.photos, len(self.pictures.pixels)))

    def planner(self) -> Planner:
        """With the photos taken and no candidate."""
        return Planner(self.pictures, range(self.photos), self.patches.distance, self.variance)

    def with_candidates(self, kept: Sequence[int]) -> "Plan":
        """The same with only some of the candidates, by their indices among the pictures."""
        return dataclasses.replace(self, pictures=self.pictures.select([*range(self.photos), *kept]))


def make_plan(scene: Reconstruction, candidates: Cameras, *, seed: int, options: RenderOptions) -> Plan:
    """Look at a scene from its photos' cameras and from others.

    Args:
        scene: all its cameras are those of photos.
        candidates: cameras in the scene's world; possibly none.
        seed: of the random pictures.
        options: of a backend that draws the median depth and has gradients.
    """
    count = len(scene.cameras)
    cameras = concatenate([scene.cameras.to(torch.float64), candidates.to(torch.float64)])
    seen = seen_by(scene, cameras, options)
    own = Seen(seen.by[:count], seen.rays[:count], seen.distance[:count])
    patches = find_patches(scene.gaussians.means, scene.cameras, own)
    generator = torch.Generator().manual_seed(seed)
    pictures = pictures_of(scene, cameras, seen, patches, probes=PROBES, generator=generator, options=options)
    return Plan(own, patches, pictures, noise_variance(scene), count)


def rank_cameras(
    scene: Reconstruction, candidates: Cameras, *, seed: int, options: RenderOptions | None = None
) -> list[float]:
    """The gain of each candidate if it alone were added; see `gains`."""
    made = make_plan(scene, candidates, seed=seed, options=options or RenderOptions())
    planner = made.planner()
    return [planner.gain(i) for i in made.candidates]
