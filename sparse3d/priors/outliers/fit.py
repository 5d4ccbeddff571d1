"""How well each photo fits what the others agree on: evidence by leaving one out, from depth maps alone.

A photo does not vote on itself. Where two of the others agree on a surface (by their depth and by how they look there), that
surface is looked up in the photo, by its camera. Correlation of small windows forgives exposure; the same lookup with the
photo shifted tells how often windows are alike by chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32

from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.priors.fusion import posed_images
from sparse3d.priors.merging import inverse_of
from sparse3d.priors.stereo.consistency import AgreementConfig, compare
from sparse3d.priors.stereo.plane_sweep import PosedImage, RayTransfer, WindowMatcher

SIDE = 320
"""Longer side of the pictures that are compared, in pixels: half a degree of turn is some three pixels, which windows bear."""
WINDOW = 7
"""Side of the windows that are compared."""
ALIKE = 0.5
"""Correlation from which two windows show the same thing."""
TEXTURE = 0.02
"""Standard deviation of grey values in a window below which it is like any other."""
SHIFT = 12
"""Pixels by which a photo is shifted to see what is alike by chance: beyond the windows, within the scene's kind of texture."""
SAME_SURFACE = AgreementConfig(pixel_error=1.5, relative_depth=0.03)
"""When two of the others mean the same surface, at this size."""
CELL = 4
"""Side of the squares of a photo within which the nearest surface hides the others."""
HIDDEN = 1.05
"""Ratio of depths beyond which a surface is hidden by a nearer one in its square."""
MAX_ANGLE_DEG = 40.0
"""Between the rays to a surface beyond which windows look different, and one side of a thing may be taken for the other."""
WITNESSES = 5
"""Of the other photos so many are asked, those that overlap a photo the most: more cost time and tell little."""
OVERLAP_STEP = 8
"""Pixels between those by which the overlap of two photos is measured."""


@dataclass(frozen=True)
class Fit:
    """What others' surfaces say of one photo.

    Attributes:
        pixels: of the others, on surfaces that two of them agree on and that fall into the photo.
        covered: share of the photo that these surfaces cover.
        alike: share of these pixels that look alike in the photo; NaN where there are none.
        chance: the same with the photo shifted.
        agreed: pixels of the others on surfaces that two of them agree on, whether they fall into the photo or not.
    """

    pixels: int
    covered: float
    alike: float
    chance: float
    agreed: int

    @property
    def agreement(self) -> float:
        """Share of the pixels that are alike beyond chance: 1 where all are, about 0 for a photo of something else."""
        return (self.alike - self.chance) / max(1 - self.chance, 1e-6)


@dataclass(frozen=True)
class Looked:
    """One view's surface looked up in another view, pixel by pixel of the first.

    Attributes:
        seen: falls into the other view, and has texture to tell by.
        correlation: in [0, 1], negative ones as 0.
    """

    seen: Bool[np.ndarray, "h w"]
    correlation: Float32[np.ndarray, "h w"]


@dataclass(frozen=True)
class _Landing:
    """Where the pixels of one view fall in another: whether on it, in which square of it, and at which depth."""

    inside: Bool[np.ndarray, "h w"]
    row: Int32[np.ndarray, "h w"]
    column: Int32[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"]


class _Scene:
    """The views at the size of the comparison, and their lookups in one another, made when first asked for."""

    def __init__(self, prior: GeometryPrior) -> None:
        self.views, self.inverses, self.confidences = [], [], []
        for view, found in zip(posed_images(prior), prior.depths, strict=True):
            small = view.scaled(min(1.0, SIDE / max(view.size)))
            depth, confidence = (
                cv2.resize(x.float().numpy(), small.size, interpolation=cv2.INTER_NEAREST)
                for x in (found.depth, found.confidence)
            )
            self.views.append(small)
            self.inverses.append(inverse_of(depth))
            self.confidences.append(confidence)
        self.points = [_points(view, inverse) for view, inverse in zip(self.views, self.inverses, strict=True)]
        self.looked: Callable[[int, int], Looked] = cache(self._looked)
        self.landing: Callable[[int, int], _Landing] = cache(self._landing)
        self.agreed: Callable[[int, int], Float32[np.ndarray, "h w"]] = cache(self._agreed)

    def witnesses(self, view: int) -> list[int]:
        """The views that overlap a view the most, best first."""
        overlap = []
        for other in range(len(self.views)):
            if other != view:
                overlap.append((-self._overlap(other, view), other))
        return [other for _, other in sorted(overlap)[:WITNESSES]]

    def _overlap(self, view: int, other: int) -> float:
        """Share of a view's pixels whose surface falls into another view and is seen from about the same side there."""
        points, there = self.points[view][::OVERLAP_STEP, ::OVERLAP_STEP], self.views[other]
        known = self.inverses[view][::OVERLAP_STEP, ::OVERLAP_STEP] > 0
        x, y, z = np.moveaxis(
            points @ (there.K @ there.cam_from_world[:3, :3]).T + there.K @ there.cam_from_world[:3, 3], -1, 0
        )
        wide, high = there.size
        inside = known & (z > 0) & (x > 0) & (x < wide * z) & (y > 0) & (y < high * z)
        return float((inside & _same_side(points, self.views[view], there)).mean())

    def _landing(self, view: int, other: int) -> _Landing:
        inverse, (wide, high) = self.inverses[view], self.views[other].size
        x, y, third = RayTransfer.between(self.views[view], self.views[other]).coordinates(inverse)
        inside = (inverse > 0) & (third > 0) & (x > 0) & (x < wide - 1) & (y > 0) & (y < high - 1)
        row, column = (np.where(inside, c / CELL, 0).astype(np.int32) for c in (y, x))
        return _Landing(inside, row, column, (third / np.where(inverse > 0, inverse, 1)).astype(np.float32))

    def _looked(self, view: int, other: int, shift: tuple[int, int] = (0, 0)) -> Looked:
        there = self.views[other]
        moved = np.array([[1.0, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ there.K
        matcher = WindowMatcher(self.views[view], [replace(there, K=moved)], WINDOW, colour_weight=0.0)
        cost, seen = matcher.cost(0, self.inverses[view])
        textured = matcher.variance > TEXTURE**2
        return Looked(seen & textured & self.views[view].mask & (self.inverses[view] > 0), 1 - cost)

    def _agreed(self, view: int, other: int) -> Float32[np.ndarray, "h w"]:
        """How alike the two look where both mean the same surface, and 0 elsewhere."""
        views, inverses, confidences = self.views, self.inverses, self.confidences
        found = compare(views[view], inverses[view], views[other], inverses[other], confidences[other], SAME_SURFACE)
        looked = self.looked(view, other)
        return np.where(found.agrees & looked.seen, looked.correlation, 0).astype(np.float32)

    def fit(self, view: int) -> Fit:
        """How one view fits the others."""
        others = self.witnesses(view)
        nearest = self._nearest(view, others)
        alike, chance, covered, agreed = [], [], np.zeros(nearest.shape, bool), 0
        for other in others:
            best = [self.agreed(other, third) for third in others if third != other]
            sure = np.max(best, axis=0) > ALIKE if best else np.zeros(self.inverses[other].shape, bool)
            agreed += int(sure.sum())
            landing = self.landing(other, view)
            shown = sure & self.looked(other, view).seen & landing.inside
            shown &= _same_side(self.points[other], self.views[other], self.views[view])
            shown &= landing.depth < HIDDEN * nearest[landing.row, landing.column]
            covered[landing.row[shown], landing.column[shown]] = True
            alike.append(self.looked(other, view).correlation[shown] > ALIKE)
            shifted = [self._looked(other, view, shift) for shift in ((SHIFT, SHIFT), (-SHIFT, -SHIFT))]
            chance += [s.correlation[shown & s.seen] > ALIKE for s in shifted]
        return Fit(sum(map(len, alike)), float(covered.mean()), _share(alike), _share(chance), agreed)

    def _nearest(self, view: int, others: Sequence[int]) -> Float32[np.ndarray, "r c"]:
        """Depth of the nearest of the others' surfaces, agreed on or not, in each square of a view."""
        wide, high = self.views[view].size
        nearest = np.full((high // CELL + 1, wide // CELL + 1), np.inf, np.float32)
        for other in others:
            landing = self.landing(other, view)
            inside = landing.inside
            np.minimum.at(nearest, (landing.row[inside], landing.column[inside]), landing.depth[inside])
        return nearest


def _points(view: PosedImage, inverse: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w 3"]:
    """World points of a view's pixels; of an unknown depth, at depth 1."""
    at_camera = view.rays() / np.where(inverse > 0, inverse, 1)[..., None] - view.cam_from_world[:3, 3]
    return (at_camera @ view.cam_from_world[:3, :3]).astype(np.float32)


def _same_side(points: Float32[np.ndarray, "h w 3"], here: PosedImage, there: PosedImage) -> Bool[np.ndarray, "h w"]:
    """Which world points two views see from about the same side."""
    a, b = (points - view.centre.astype(np.float32) for view in (here, there))
    square = np.einsum("hwk,hwk->hw", a, a) * np.einsum("hwk,hwk->hw", b, b)
    return np.einsum("hwk,hwk->hw", a, b) > np.float32(np.cos(np.radians(MAX_ANGLE_DEG))) * np.sqrt(square)


def _share(found: Sequence[Bool[np.ndarray, " _n"]]) -> float:
    values = np.concatenate(found) if found else np.zeros(0)
    return float(values.mean()) if len(values) else float("nan")


def fits(prior: GeometryPrior) -> tuple[Fit, ...]:
    """How each photo fits what the others agree on.

    Args:
        prior: depth of all photos. With fewer than three no two others can agree, and no pixels are compared.
    """
    scene = _Scene(prior)
    return tuple(scene.fit(view) for view in range(len(prior.depths)))
