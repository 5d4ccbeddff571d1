"""What a method is given: the training photos alone, at the protocol's scale, and their true cameras where it may know them."""

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from sparse3d.bench.scene import BenchScene
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.io.atomic import make_folder
from sparse3d.io.cameras_json import write_cameras_json
from sparse3d.io.image_files import read_image, write_png

Poses = Literal["posed", "unposed"]


@dataclass(frozen=True)
class Material:
    """What a method works with, and where.

    Attributes:
        photos: folder with the training photos and nothing else.
        known: cameras.json with the true cameras of these photos; None where the method has to find them.
        folder: empty, for whatever the method writes.
        scene, split: names, for methods whose results were made elsewhere.
        seed: of every random choice.
        threads: that the method may use; 0 for all.
    """

    photos: Path
    known: Path | None
    folder: Path
    scene: str
    split: str
    seed: int
    threads: int


def materialise(
    scene: BenchScene, split: str, poses: Poses, folder: Path, *, seed: int = 0, threads: int = 0
) -> Material:
    """Write a job's material into a folder, which is emptied first.

    Photos are copied as they are, unless the protocol shrinks them or lays a colour under them: then they are written as PNG,
    without their EXIF data.

    Raises:
        InputError: a photo is missing or has not the size that its camera says, or a file cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    photos = make_folder(folder / "photos")
    train = scene.splits[split].train
    for name in train:
        if _as_they_are(scene):
            shutil.copyfile(_file(scene, name), photos / local_name(scene, name))
        else:
            write_png(photos / local_name(scene, name), read_scaled(scene, name))
    known = None
    if poses == "posed":
        known = folder / "cameras.json"
        write_cameras_json(known, true_cameras(scene, train))
    return Material(photos, known, make_folder(folder / "method"), scene.scene, split, seed, threads)


def local_name(scene: BenchScene, name: str) -> str:
    """The file name of a photo in a job's folder: folders become part of it, so that equal names in two of them differ."""
    flat = name.replace("/", "_")
    return flat if _as_they_are(scene) else f"{PurePosixPath(flat).stem}.png"


def true_cameras(scene: BenchScene, names: tuple[str, ...]) -> Cameras:
    """The true cameras of some photos, under the names that these have in a job's folder, or would have."""
    at = {name: i for i, name in enumerate(scene.photos)}
    return scene.cameras.select([at[name] for name in names]).replace(names=tuple(local_name(scene, n) for n in names))


def read_scaled(scene: BenchScene, name: str) -> UInt8[ndarray, "h w 3"]:
    """A photo at the protocol's scale: shrunk by its whole number with a box filter (Pillow's, rounded to 8 bits).

    Raises:
        InputError: it is missing, unreadable, or not of the size that its camera says.
    """
    pixels = read_image(_file(scene, name), background=scene.background)
    height, width = pixels.shape[:2]
    size = scene.cameras.sizes[list(scene.photos).index(name)]
    if max(abs(size[0] - width / scene.downscale), abs(size[1] - height / scene.downscale)) >= 1:
        raise InputError(
            f"{scene.photos[name]}: has {width}x{height} pixels, but its true camera, after a division by "
            f"{scene.downscale}, {size[0]}x{size[1]}: is it the data set's own file?"
        )
    if (width, height) == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _as_they_are(scene: BenchScene) -> bool:
    return scene.downscale == 1 and scene.background is None


def _file(scene: BenchScene, name: str) -> Path:
    path = scene.photos[name]
    if not path.is_file():
        raise InputError(f"{path}: the photo {name} of {scene.dataset} {scene.scene} is missing: check --data")
    return path
