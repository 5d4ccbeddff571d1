"""What the photos of a scene know, and what cameras elsewhere would add."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from sparse3d.core.cameras import Cameras, concatenate
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.coverage.gains import Planner
from sparse3d.coverage.information import noise_variance, working_camera
from sparse3d.coverage.patches import Patches, find_patches
from sparse3d.coverage.pictures import Pictures, pictures_of
from sparse3d.coverage.places import propose, step_length
from sparse3d.coverage.seen import Seen, seen_by
from sparse3d.eval.coverage import render_depth
from sparse3d.render.rasterise import RenderOptions

PROBES = 4
"""Random pictures a view; a patch's information sums over its dozen Gaussians, which evens the estimate out further."""

TURNED_DEG = 20.0
"""`Planner.turned_deg` where the wanted pictures are told."""

MIN_ROOM = 0.25
"""The nearest things in a new picture may be this much of the photos' usual distance away, not less."""
NEAREST = 5
"""Percentile of the depths that counts as the nearest things."""
LEAST_SEEN = 0.05
"""Share of a picture that has to show something before its depths say anything."""


class DepthsSeen(NamedTuple):
    """z-depths of what a camera sees, in scene units: the median, the nearest things, the middle of the picture."""

    usual: float
    nearest: float
    middle: float


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

    def planner(self, wanted: Sequence[int] | None = None, *, turned_deg: float = math.inf) -> Planner:
        """With the photos taken and no candidate.

        Args:
            wanted: the pictures whose errors count, by their indices; all where None.
            turned_deg: see `Planner`.
        """
        wanted = range(len(self.pictures.pixels)) if wanted is None else wanted
        taken = range(self.photos)
        return Planner(self.pictures, taken, wanted, self.patches.distance, self.variance, turned_deg=turned_deg)

    def with_candidates(self, kept: Sequence[int]) -> "Plan":
        """The same with only some of the candidates, by their indices among the pictures."""
        return dataclasses.replace(self, pictures=self.pictures.select([*range(self.photos), *kept]))


def places_around(scene: Reconstruction, options: RenderOptions) -> tuple[Cameras, float]:
    """Places around a scene's photos from which its nearest things are not right before the lens; and the length of a step."""
    count = len(scene.cameras)
    focus = np.array([depths_seen(scene, scene.cameras.select([i]), options).usual for i in range(count)])
    if not np.isfinite(focus).any():
        middle = scene.gaussians.means.double().median(0).values
        focus = (scene.cameras.centres.double() - middle).norm(dim=1).clamp(min=1e-6).numpy()
    focus = np.where(np.isfinite(focus), focus, np.median(focus[np.isfinite(focus)]))
    step = step_length(scene.cameras, focus)
    places = propose(scene.cameras.to(torch.float64), focus, step)
    nearest = [depths_seen(scene, places.select([i]), options).nearest for i in range(len(places))]
    least = MIN_ROOM * float(np.median(focus))
    return places.select([i for i, near in enumerate(nearest) if least <= near < np.inf]), step


def depths_seen(scene: Reconstruction, camera: Cameras, options: RenderOptions) -> DepthsSeen:
    """How far away the things are that a camera sees; infinite where it sees next to nothing."""
    depth = render_depth(scene, working_camera(camera), options).depth
    known = depth[depth > 0]
    if len(known) < LEAST_SEEN * depth.size:
        return DepthsSeen(np.inf, np.inf, np.inf)
    height, width = depth.shape
    middle = depth[2 * height // 5 : 3 * height // 5 + 1, 2 * width // 5 : 3 * width // 5 + 1]
    middle = middle[middle > 0] if (middle > 0).any() else known
    return DepthsSeen(float(np.median(known)), float(np.percentile(known, NEAREST)), float(np.median(middle)))


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
    scene: Reconstruction,
    candidates: Cameras,
    *,
    seed: int,
    wanted: Cameras | None = None,
    options: RenderOptions | None = None,
) -> list[float]:
    """The gain of each candidate if it alone were added; see `gains`.

    Args:
        scene: all its cameras are those of photos.
        candidates: cameras in the scene's world.
        seed: of the random pictures.
        wanted: cameras of the pictures that somebody may want to see, whatever the candidates are; those of the photos and of the
            places around them where None.
        options: of a backend that draws the median depth and has gradients.
    """
    options = options or RenderOptions()
    photos = len(scene.cameras)
    counting = places_around(scene, options)[0] if wanted is None else wanted.to(torch.float64)
    known = photos + len(counting)
    plan = make_plan(scene, concatenate([counting, candidates.to(torch.float64)]), seed=seed, options=options)
    told = wanted is not None
    planner = plan.planner(range(photos if told else 0, known), turned_deg=TURNED_DEG if told else math.inf)
    return [planner.gain(known + i) for i in range(len(candidates))]
