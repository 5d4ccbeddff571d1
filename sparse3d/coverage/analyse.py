"""The coverage of a reconstruction: a verdict, figures for each photo and Gaussian, and places for the next photo."""

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.coverage import Coverage, GaussianCoverage, NextPhoto, PhotoCoverage
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.core.upright import scene_up
from sparse3d.coverage.gains import Planner
from sparse3d.coverage.plan import Plan, depths_seen, make_plan, places_around
from sparse3d.coverage.verdict import coverage_verdict
from sparse3d.coverage.words import describe_place
from sparse3d.render.rasterise import RenderOptions

WANTED = 5
"""Places that are recommended at most."""

LEAST_GAIN = 0.1
"""A place that is worth less than this share of the best one is not worth a photo."""

MIN_OVERLAP = 0.4
"""Share of a new picture that has to be found again in the photos: with less it may not be placed."""

MAX_UNKNOWN = 0.35
"""Share of a new picture where nothing is rendered, at most: what is there may be a wall before the lens."""

NARROW_DEG = 4.0
"""Largest angle between two looks at the same thing below which its distance is known only roughly."""


def analyse(
    scene: Reconstruction, *, seed: int, options: RenderOptions | None = None
) -> tuple[Coverage, GaussianCoverage]:
    """What the photos of a scene cover, and where the next ones should be taken.

    Args:
        scene: a finished reconstruction.
        seed: of the random pictures that the information is estimated by.
        options: of a backend that draws the median depth and has gradients: any but gsplat.
    """
    options = options or RenderOptions()
    places, step = places_around(scene, options)
    plan = make_plan(scene, places, seed=seed, options=options)
    kept = _placeable(plan)
    narrowed = plan.with_candidates(kept)
    planner = narrowed.planner()
    gaussians = _figures(narrowed, planner)
    before = planner.error
    next_photos = []
    for choice in planner.choose(narrowed.candidates, WANTED, least=LEAST_GAIN):
        camera = places.select([kept[choice.picture - plan.photos] - plan.photos])
        next_photos.append(_next_photo(scene, camera, choice.gain / before, step, options))
    shares, narrow = _shares(narrowed, gaussians)
    coverage = Coverage(
        verdict=coverage_verdict(shares, narrow, tuple(next_photos)),
        seen_shares=shares,
        narrow_share=narrow,
        photos=tuple(_photo(scene, narrowed, gaussians, i) for i in range(len(scene.cameras))),
        next_photos=tuple(next_photos),
        step=step,
    )
    return coverage, gaussians


def _placeable(plan: Plan) -> list[int]:
    """The candidates whose pictures would show enough of what the photos show."""
    planner, pictures = plan.planner(), plan.pictures
    unknown = pictures.unknown_px / pictures.pixels
    return [i for i in plan.candidates if planner.overlap(i) >= MIN_OVERLAP and float(unknown[i]) <= MAX_UNKNOWN]


def _figures(plan: Plan, planner: Planner) -> GaussianCoverage:
    variance = planner.covariance.diagonal(dim1=-1, dim2=-2).sum(-1)
    return GaussianCoverage(
        photos=plan.seen.count.float(),
        angle_deg=plan.seen.largest_angle_deg().float(),
        expected_error=(variance.sqrt() / plan.patches.distance)[plan.patches.of].float(),
    )


def _next_photo(scene: Reconstruction, camera: Cameras, gain: float, step: float, options: RenderOptions) -> NextPhoto:
    pose: Float[ndarray, "4 4"] = camera.world_from_cam[0].double().numpy()
    target = pose[:3, 3] + depths_seen(scene, camera, options).middle * pose[:3, 2]
    words = describe_place(pose, target, scene.cameras, scene_up(scene.cameras), step)
    return NextPhoto(camera, gain, words.near, words.text)


def _shares(plan: Plan, figures: GaussianCoverage) -> tuple[tuple[float, float, float, float], float]:
    """Shares of all that shows in all pictures, by the number of photos that saw it, and what was seen too narrowly."""
    weight = plan.pictures.shown.sum(0)
    total = float(weight.sum() + plan.pictures.unknown_px.sum())

    def share(which: Tensor) -> float:
        return float(weight[which].sum()) / total

    one, two, more = share(figures.photos == 1), share(figures.photos == 2), share(figures.photos >= 3)
    narrow = share((figures.photos >= 2) & (figures.angle_deg < NARROW_DEG))
    return (max(0.0, 1 - one - two - more), one, two, more), narrow


def _photo(scene: Reconstruction, plan: Plan, figures: GaussianCoverage, index: int) -> PhotoCoverage:
    weight = plan.pictures.shown[index]
    again = float(weight[figures.photos >= 2].sum() / plan.pictures.pixels[index])
    return PhotoCoverage(
        name=scene.cameras.names[index],
        seen_again=again,
        angle_deg=_weighted_median(figures.angle_deg, weight),
        expected_error=_weighted_median(figures.expected_error, weight),
    )


def _weighted_median(values: Float[Tensor, " n"], weight: Float[Tensor, " n"]) -> float:
    order = values.argsort()
    running = weight[order].double().cumsum(0)
    return float(values[order[int(torch.searchsorted(running, running[-1] / 2).clamp(max=len(values) - 1))]])
