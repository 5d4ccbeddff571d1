"""Photos that a run is not made from, though their cameras are known: by them the page shows how new views fare."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.distortion import undistort_image, undistorted_camera
from sparse3d.core.errors import InputError
from sparse3d.core.images import ImageSet, Photo
from sparse3d.eval.view_scorer import spread
from sparse3d.io.image_files import read_image
from sparse3d.io.known_cameras import match_names, read_given_cameras
from sparse3d.io.photos import read_photo_mask, read_photo_pixels

log = logging.getLogger(__name__)

MAX_PHOTOS = 4
"""Evenly spread over those that there are: each takes a rendering whenever they are measured."""


@dataclass(frozen=True)
class HeldOutSource:
    """Where held-out photos may be.

    Attributes:
        photos: the folder that the run's photos are in.
        known: known cameras, as the run was given them.
        used: names of the photos that the run is made from.
    """

    photos: Path
    known: Path
    used: tuple[str, ...]


@dataclass(frozen=True)
class HeldOutPhoto:
    """A photo that is not trained on, undistorted.

    Attributes:
        name: its file's.
        camera: the pinhole that belongs to the picture, in the world of the known cameras.
        image: sRGB in [0, 1].
        mask: 1 where a pixel lies within the photo.
    """

    name: str
    camera: Cameras
    image: Float[Tensor, "h w 3"]
    mask: Float[Tensor, "h w"]


@dataclass(frozen=True)
class HeldOut:
    """The held-out photos, and the known cameras of photos that are trained on, which lead into the run's world."""

    photos: tuple[HeldOutPhoto, ...]
    used: Cameras

    def camera(self, index: int, trained: Cameras) -> Cameras:
        """A held-out photo's pinhole in the world of the cameras as they are now.

        Args:
            trained: cameras of the photos trained on, `used` among them.
        """
        now = trained.select([trained.names.index(name) for name in self.used.names]).to(torch.float64)
        moved = se3.sim3_from_cameras(self.used.world_from_cam, now.world_from_cam)
        camera = self.photos[index].camera
        return camera.replace(cam_from_world=se3.apply_sim3_to_cameras(camera.cam_from_world, *moved))


def read_held_out(source: HeldOutSource, trained: Cameras, max_side: int) -> HeldOut | None:
    """Read the photos of the folder that are not trained on and whose cameras are known.

    Args:
        trained: cameras of the photos trained on, at their full size.
        max_side: longer side of the pictures, in pixels.

    Returns:
        None where there is no such photo, or fewer than two places of photos trained on are known. The log tells of photos
        that cannot be read.

    Raises:
        InputError: the known cameras cannot be read.
    """
    photos = tuple(
        Photo(source.photos / name, name, size, None, None, "", None)
        for name, size in zip(trained.names, trained.sizes, strict=True)
    )
    given = read_given_cameras(source.known, ImageSet(photos, read_photo_pixels, read_photo_mask)).to(torch.float64)
    complete = given.cam_from_world.isfinite().all(-1).all(-1) & given.K.isfinite().all(-1).all(-1)
    matches = match_names(trained.names, given.names, source.known)
    pairs = [(name, match) for name, match in zip(trained.names, matches, strict=True) if match is not None]
    pairs = [(name, match) for name, match in pairs if complete[match]]
    used = given.select([match for _, match in pairs]).replace(names=tuple(name for name, _ in pairs))
    if len(used) < 2 or bool((used.centres == used.centres[0]).all()):
        return None
    in_use = {PurePosixPath(name).name for name in source.used}
    others = {i: source.photos / PurePosixPath(name).name for i, name in enumerate(given.names) if complete[i]}
    others = {i: path for i, path in others.items() if path.name not in in_use and i not in matches and path.is_file()}
    found = _read_some(others, given, max_side)
    return HeldOut(found, used) if found else None


def _read_some(files: dict[int, Path], given: Cameras, max_side: int) -> tuple[HeldOutPhoto, ...]:
    found: list[HeldOutPhoto] = []
    for index in spread(sorted(files), MAX_PHOTOS):
        try:
            found.append(_read(files[index], given.select([index]), max_side))
        except InputError as error:
            log.warning("%s is not shown as a held-out photo: %s", files[index].name, error)
    return tuple(found)


def _read(path: Path, camera: Cameras, max_side: int) -> HeldOutPhoto:
    pixels = read_image(path)
    camera = camera.resized([_size_of(pixels.shape)])
    K, distortion = camera.K[0].numpy(), camera.distortion[0].numpy()
    new_K, new_size = undistorted_camera(K, distortion, camera.sizes[0], max_side)
    image, mask = undistort_image(pixels, K, distortion, new_K, new_size)
    pinhole = camera.replace(K=torch.from_numpy(new_K)[None], sizes=(new_size,), distortion=torch.zeros(1, 4).double())
    return HeldOutPhoto(path.name, pinhole, torch.from_numpy(image), torch.from_numpy(mask))


def _size_of(shape: Sequence[int]) -> tuple[int, int]:
    return shape[1], shape[0]
