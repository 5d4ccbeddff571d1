"""Keypoints of a track moved to where its photos agree: least squares matching (Gruen 1985) with an affine warp.

Detectors place a keypoint in each photo by itself, half a pixel off or, on a coarse grid, a whole one. Once cameras are
known, the patch around one observation is warped into the other photos and shifted, turned and sheared until it fits.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from numpy import ndarray

from sparse3d.core.images import ImageSet
from sparse3d.priors.stereo.features import shrink
from sparse3d.priors.stereo.model import Model, normalise, project
from sparse3d.priors.stereo.tracks import Tracks
from sparse3d.priors.stereo.triangulation import Structure

RADIUS = 7
"""Half the patch's side, in matching pixels."""

BLUR_PX = 0.8
"""Standard deviation of the smoothing before gradients are taken: sensors' noise and JPEG's blocks."""

ITERATIONS = 10
"""Gauss-Newton steps; most patches settle in five."""

MAX_SHIFT = 2.0
"""Matching pixels that an observation may move: farther off it was another point."""

MIN_CORRELATION = 0.8
MIN_CONTRAST = 0.008
"""Standard deviation of grey values, about two of 255 levels, below which a patch shows nothing."""

SIZE_RANGE = (0.4, 2.5)
"""Magnifications between two photos at which a patch of fixed size can still be compared."""

SHEAR_RANGE = (0.5, 2.0)
"""How far the fitted warp's area may be from that of the surface assumed at the start."""

SETTLED_PX = 0.05
"""A patch whose last step was longer has not converged."""

MIN_SIGMA_PX = 0.25
"""Standard deviation that no aligned observation falls below: patches are not flat and lenses not ideal. Trusting them to the
0.1 px that their residuals promise made cameras worse on half of the sets tried."""

NOISE_CORRELATION = 3.0
"""Residuals of neighbouring pixels go together: variances are this much larger than from independent ones."""

FACET_PX = 3.0
"""Distance over which the initial warp is measured."""

CHUNK = 1500
"""Patches aligned at a time, to bound the memory (about 40 KiB a patch)."""


@dataclass(frozen=True)
class MatchingImages:
    """Smoothed photos at the matching resolution with their gradients.

    Attributes:
        layers: grey in [0, 1] and its derivatives along x and y, of each photo.
        scales: full-size pixels per matching pixel.
    """

    layers: tuple[tuple[Float32[ndarray, "_h _w"], ...], ...]
    scales: tuple[float, ...]


def load_matching_images(images: ImageSet, max_side: int) -> MatchingImages:
    """The photos as `align_tracks` needs them."""
    layers, scales = [], []
    for photo in images.photos:
        small = shrink(images.read_pixels(photo), max_side, 1)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        grey = cv2.GaussianBlur(grey, (0, 0), BLUR_PX)
        # Scharr's weights sum to 32 over a distance of two pixels.
        layers.append((grey, cv2.Scharr(grey, cv2.CV_32F, 1, 0) / 32, cv2.Scharr(grey, cv2.CV_32F, 0, 1) / 32))
        scales.append(max(photo.size) / max(small.shape[:2]))
    return MatchingImages(tuple(layers), tuple(scales))


def align_tracks(
    pictures: MatchingImages, model: Model, structure: Structure, tracks: Tracks
) -> tuple[Tracks, Bool[ndarray, " o"]]:
    """Move the observations that agree with a scene to where their patches fit best.

    In each track the observation that looks at its point from the middle of the others stays: it says which point of the
    surface is meant, and is as exact as the patches are.

    Args:
        structure: points and inliers of the tracks; the other observations stay as they are.

    Returns:
        The tracks, and which of their observations are aligned (those that others were aligned with included).
    """
    use = np.flatnonzero(structure.inlier)
    aligned = np.zeros(len(tracks.views), bool)
    if len(use) == 0:
        return tracks, aligned
    seen = tracks.select(structure.inlier)
    reference, target = _pairs_of(model, seen, structure.points)
    pixels, sigmas = tracks.pixels.copy(), tracks.sigmas.copy()
    scales = np.array(pictures.scales)
    for start in range(0, len(target), CHUNK):
        ref, own = reference[start : start + CHUNK], target[start : start + CHUNK]
        views = np.stack([seen.views[ref], seen.views[own]], 1)
        facets = facets_between(pictures, model, views, seen.pixels[ref], structure.points[seen.points[own]])
        found = align_facets(pictures, facets, seen.pixels[own])
        good, moved = found.good, use[own[found.good]]
        pixels[moved], sigmas[moved] = found.pixels[good], found.sigmas[good]
        aligned[moved] = True
        anchors = use[ref[good]]
        sigmas[anchors] = MIN_SIGMA_PX * scales[tracks.views[anchors]]
        aligned[anchors] = True
    return replace(tracks, pixels=pixels, sigmas=sigmas), aligned


def _pairs_of(
    model: Model, seen: Tracks, points: Float[ndarray, "p 3"]
) -> tuple[Int[ndarray, " m"], Int[ndarray, " m"]]:
    """For every observation but a track's reference, the reference and itself."""
    towards = towards_camera(model, seen.views, points[seen.points])
    mean = np.zeros((seen.count, 3))
    np.add.at(mean, seen.points, towards)
    central = (towards * mean[seen.points]).sum(1)
    order = np.lexsort((-central, seen.points))
    owners, first = np.unique(seen.points[order], return_index=True)
    reference_of = np.full(seen.count, -1)
    reference_of[owners] = order[first]
    target = np.flatnonzero(reference_of[seen.points] != np.arange(len(seen.views)))
    return reference_of[seen.points[target]], target


def towards_camera(model: Model, views: Int[ndarray, " n"], points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """Unit vectors from points to cameras."""
    direction = model.centres[views] - points
    return direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _initial_warp(
    model: Model, views: ndarray, pixels: ndarray, point: ndarray, scales: ndarray
) -> Float[ndarray, "n 2 2"]:
    """Jacobian between the matching pixels of two views of a facet that faces both alike.

    Args:
        views: (n, 2), from and to.
        pixels: of the observation in the first view, full size.
        scales: (n, 2).
    """
    facing = towards_camera(model, views[:, 0], point) + towards_camera(model, views[:, 1], point)
    centre = model.centres[views[:, 0]]
    landed = []
    for offset in ((0.0, 0.0), (FACET_PX, 0.0), (0.0, FACET_PX)):
        xy = normalise(model, views[:, 0], pixels + np.array(offset) * scales[:, :1])
        ray = np.einsum(
            "nji,nj->ni", model.cam_from_world[views[:, 0], :3, :3], np.concatenate([xy, np.ones((len(xy), 1))], 1)
        )
        distance = ((point - centre) * facing).sum(1) / (ray * facing).sum(1)
        landed.append(project(model, views[:, 1], centre + ray * distance[:, None])[0] / scales[:, 1:])
    return np.stack([(landed[1] - landed[0]) / FACET_PX, (landed[2] - landed[0]) / FACET_PX], axis=2)


@dataclass(frozen=True)
class Facets:
    """Patches around observations in one view, and how they should look in another.

    Attributes:
        views: from and to.
        template: the patch in the first view, mean zero and standard deviation one.
        warp: Jacobian from its matching pixels to those of the second view.
        usable: whether it shows something, at a magnification that can be compared.
    """

    views: Int[ndarray, "m 2"]
    template: Float32[ndarray, "m p"]
    warp: Float[ndarray, "m 2 2"]
    usable: Bool[ndarray, " m"]


@dataclass(frozen=True)
class AlignedFacets:
    """Where facets were found: position and standard deviation in full-size pixels, and whether to believe it."""

    pixels: Float[ndarray, "m 2"]
    sigmas: Float[ndarray, " m"]
    good: Bool[ndarray, " m"]


def facets_between(
    pictures: MatchingImages,
    model: Model,
    views: Int[ndarray, "m 2"],
    pixels: Float[ndarray, "m 2"],
    points: Float[ndarray, "m 3"],
) -> Facets:
    """Facets at observations (full-size pixels of the first views) of world points."""
    scales = np.array(pictures.scales)[views]
    with np.errstate(divide="ignore", invalid="ignore"):
        warp = _initial_warp(model, views, pixels, points, scales)
        size = np.sqrt(np.abs(np.linalg.det(warp)))
        usable = np.isfinite(warp).all((1, 2)) & (size > SIZE_RANGE[0]) & (size < SIZE_RANGE[1])
    template, contrast = _normalised(
        _sample(pictures, 0, views[:, 0], _spread(pixels / scales[:, :1], np.eye(2)[None]))
    )
    warp = np.where(usable[:, None, None], warp, np.eye(2))
    return Facets(views, template, warp, usable & (contrast[:, 0] > MIN_CONTRAST))


def correlate(pictures: MatchingImages, facets: Facets, pixels: Float[ndarray, "m 2"]) -> Float32[ndarray, " m"]:
    """Correlation of facets with the second views at given full-size pixels."""
    at = _spread(pixels / np.array(pictures.scales)[facets.views[:, 1], None], facets.warp)
    values, _ = _normalised(_sample(pictures, 0, facets.views[:, 1], at))
    return np.einsum("p,np,np->n", _WEIGHTS, values, facets.template)


def align_facets(pictures: MatchingImages, facets: Facets, pixels: Float[ndarray, "m 2"]) -> AlignedFacets:
    """Find facets in their second views near given full-size pixels."""
    scales = np.array(pictures.scales)[facets.views[:, 1]]
    start = pixels / scales[:, None]
    fit = _fit(pictures, facets.views[:, 1], facets.template, start, facets.warp)
    with np.errstate(divide="ignore", invalid="ignore"):
        area = np.abs(np.linalg.det(fit.warp)) / np.abs(np.linalg.det(facets.warp))
    good = facets.usable & (fit.correlation > MIN_CORRELATION)
    good &= (np.linalg.norm(fit.position - start, axis=1) < MAX_SHIFT) & (fit.last_step < SETTLED_PX)
    good &= (area > SHEAR_RANGE[0]) & (area < SHEAR_RANGE[1]) & np.isfinite(fit.sigma)
    sigma = np.maximum(np.nan_to_num(fit.sigma, nan=1.0, posinf=1.0), MIN_SIGMA_PX)
    return AlignedFacets(fit.position * scales[:, None], sigma * scales, good)


@dataclass(frozen=True)
class _Fit:
    """Where patches fit: position, warp, correlation, length of the last step and standard deviation, matching pixels."""

    position: Float[ndarray, "m 2"]
    warp: Float[ndarray, "m 2 2"]
    correlation: Float[ndarray, " m"]
    last_step: Float[ndarray, " m"]
    sigma: Float[ndarray, " m"]


_OFFSETS = np.stack(np.meshgrid(np.arange(-RADIUS, RADIUS + 1), np.arange(-RADIUS, RADIUS + 1)), -1).reshape(-1, 2)
_WEIGHTS = np.exp(-(_OFFSETS**2).sum(1) / (2 * (RADIUS / 1.7) ** 2)).astype(np.float32)
_WEIGHTS /= _WEIGHTS.sum()
_STIFFNESS = np.diag([1e-4, 1e-4, *[1e-3 * RADIUS**2] * 4])
"""Added to the normal equations: keeps the warp of a patch with one edge near its start."""


def _fit(
    pictures: MatchingImages,
    views: Int[ndarray, " m"],
    template: Float32[ndarray, "m p"],
    position: Float[ndarray, "m 2"],
    warp: Float[ndarray, "m 2 2"],
) -> _Fit:
    """Gauss-Newton over shift and warp, brightness and contrast eliminated."""
    position, warp = position.copy(), warp.copy()
    last_step = np.full(len(views), np.inf)
    normal = np.broadcast_to(np.eye(6), (len(views), 6, 6)).copy()
    active = np.arange(len(views))
    for _ in range(ITERATIONS):
        at, seen_by = _spread(position[active], warp[active]), views[active]
        values, contrast = _normalised(_sample(pictures, 0, seen_by, at))
        slopes = [_sample(pictures, layer, seen_by, at) / contrast for layer in (1, 2)]
        jacobian = np.stack([*slopes, *(s * o for s in slopes for o in _OFFSETS.T.astype(np.float32))], 2)
        jacobian -= np.einsum("p,npi->ni", _WEIGHTS, jacobian)[:, None]
        jacobian -= values[:, :, None] * np.einsum("np,npi->ni", _WEIGHTS * values, jacobian)[:, None]
        weighted = (jacobian * _WEIGHTS[:, None]).transpose(0, 2, 1)
        normal[active] = weighted @ jacobian
        right = (weighted @ (template[active] - values)[:, :, None]).astype(np.float64)
        step = np.linalg.solve(normal[active] + _STIFFNESS, right)[:, :, 0]
        length = np.linalg.norm(step[:, :2], axis=1)
        step *= np.minimum(1, 1 / np.maximum(length, 1e-9))[:, None]
        position[active] += step[:, :2]
        warp[active] += step[:, 2:].reshape(-1, 2, 2)
        last_step[active] = length
        active = active[length > SETTLED_PX / 5]
        if len(active) == 0:
            break
    values, _ = _normalised(_sample(pictures, 0, views, _spread(position, warp)))
    correlation = np.einsum("p,np,np->n", _WEIGHTS, values, template).astype(np.float64)
    covariance = np.linalg.inv(normal + 1e-6 * np.eye(6))
    spread = 0.5 * (covariance[:, 0, 0] + covariance[:, 1, 1])
    variance = np.maximum(2 - 2 * correlation, 0) * NOISE_CORRELATION / RADIUS**2 * spread
    return _Fit(position, warp, correlation, last_step, np.sqrt(variance))


def _spread(position: Float[ndarray, "m 2"], warp: Float[ndarray, "_m 2 2"]) -> Float[ndarray, "m p 2"]:
    return position[:, None] + _OFFSETS @ warp.transpose(0, 2, 1)


def _sample(
    pictures: MatchingImages, layer: int, views: Int[ndarray, " m"], at: Float[ndarray, "m p 2"]
) -> Float32[ndarray, "m p"]:
    """A layer of each view at positions in matching pixels (centres at +0.5); the border continues outside."""
    result = np.empty(at.shape[:2], np.float32)
    for view in np.unique(views):
        here = np.flatnonzero(views == view)
        x, y = np.moveaxis((at[here] - 0.5).astype(np.float32), 2, 0)
        picture = pictures.layers[view][layer]
        result[here] = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return result


def _normalised(values: Float32[ndarray, "m p"]) -> tuple[Float32[ndarray, "m p"], Float32[ndarray, "m 1"]]:
    """Weighted mean zero and standard deviation one; also the standard deviation."""
    centred = values - (values @ _WEIGHTS)[:, None]
    contrast = np.sqrt(np.maximum((centred * centred) @ _WEIGHTS, 1e-12))[:, None]
    return centred / contrast, contrast
