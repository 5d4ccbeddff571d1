"""What the user knows of the cameras, from any of the formats that are read, put in the order of the photos."""

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.distortion import visible_border
from sparse3d.core.errors import InputError
from sparse3d.core.images import ImageSet
from sparse3d.io.cameras_json import group_by_intrinsics, read_cameras_json
from sparse3d.io.colmap import is_colmap_model, read_colmap
from sparse3d.io.json_files import read_json_object
from sparse3d.io.llff import load_rows, read_llff
from sparse3d.io.pixels import PHOTO_SUFFIXES
from sparse3d.io.transforms_json import read_transforms_json

logger = logging.getLogger(__name__)

MIN_VISIBLE_BORDER = 0.5
"""Calibrations may fold in the far corners of a photo; one that folds along half of its border is of another lens."""

ASPECT_TOLERANCE = 2e-3
"""Scaled photos have rounded sides: their aspect may differ by this, or by what a pixel makes."""

_FILES = ("cameras.json", "transforms.json", "poses_bounds.npy")
_MODEL_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", "0")
_FORMATS = "a COLMAP model's folder, cameras.json, transforms.json or poses_bounds.npy"


def read_known_cameras(path: Path, images: ImageSet) -> Cameras:
    """Read known cameras of the photos: a COLMAP model, `cameras.json`, `transforms.json` or `poses_bounds.npy`.

    Photos and cameras find each other by name, else by name without folders, else without suffix, whatever the case.
    Intrinsics are scaled where the photos are larger or smaller than in the file.

    Args:
        path: the file, or a folder that holds one of them.
        images: the photos in question.

    Returns:
        One camera a photo, in the order and with the names and sizes of the photos; NaN, and not marked as known, what
        the file does not tell. Photos of equal size, intrinsics and distortion share a group.

    Raises:
        InputError: the format is unknown or the file damaged, no photo is found in it, or a photo's shape does not fit.
    """
    given = _read_any(Path(path), images)
    matches = match_names(images.names, given.names, path)
    if all(match is None for match in matches):
        raise InputError(
            f"{path}: knows none of the photos; it has {_some(given.names)}, the photos are {_some(images.names)}"
        )
    for name, match in zip(images.names, matches, strict=True):
        if match is None:
            logger.warning("%s: has no camera for %s", path, name)
    count = len(images)
    K = torch.full((count, 3, 3), torch.nan, dtype=torch.float64)
    cam_from_world = torch.full((count, 4, 4), torch.nan, dtype=torch.float64)
    distortion = torch.zeros(count, 4, dtype=torch.float64)
    for i, match in enumerate(matches):
        if match is not None:
            _check_aspect(path, images.names[i], given.sizes[match], images.sizes[i])
            scaled = given.select([match]).resized([images.sizes[i]])
            _check_lens(path, scaled)
            K[i], cam_from_world[i], distortion[i] = scaled.K[0], scaled.cam_from_world[0], scaled.distortion[0]
    return Cameras.build(
        cam_from_world,
        K,
        images.sizes,
        distortion=distortion,
        names=images.names,
        groups=group_by_intrinsics(images.sizes, K.tolist(), distortion.tolist()),
        pose_known=cam_from_world.isfinite().all(-1).all(-1).tolist(),
        intrinsics_known=K.isfinite().all(-1).all(-1).tolist(),
    )


def read_given_cameras(path: Path, images: ImageSet) -> Cameras:
    """All cameras that a file has, in its own order and with its own names: also those of photos that are not in use.

    Args:
        path: as for `read_known_cameras`.
        images: the photos in use; some formats tell sizes or names by them alone.

    Raises:
        InputError: the format is unknown or the file damaged.
    """
    return _read_any(Path(path), images)


def holds_known_cameras(folder: Path) -> bool:
    """Whether `read_known_cameras` finds a file in a folder."""
    return is_colmap_model(folder) or bool(_candidates(folder))


def match_names(photos: Sequence[str], given: Sequence[str], path: Path | str) -> list[int | None]:
    """For each photo the index among the given names: of the same name, else without folders, else without suffix.

    Args:
        path: where the given names are from, for messages.

    Raises:
        InputError: two given names fit one photo equally well.
    """
    keys = (lambda n: n, lambda n: PurePosixPath(n).name.casefold(), lambda n: PurePosixPath(n).stem.casefold())
    matches: list[int | None] = [None] * len(photos)
    for key in keys:
        places: dict[str, list[int]] = {}
        for index, name in enumerate(given):
            places.setdefault(key(name), []).append(index)
        for i, photo in enumerate(photos):
            found = places.get(key(photo), []) if matches[i] is None else []
            if len(found) > 1:
                raise InputError(
                    f"{path}: {photo} could be {' or '.join(given[f] for f in found[:3])}; rename or remove one"
                )
            if found:
                matches[i] = found[0]
    return matches


def _read_any(path: Path, images: ImageSet) -> Cameras:
    """Find out what is there, and read it."""
    file = _find(path)
    logger.info("known cameras: %s", file)
    if file.is_dir():
        return read_colmap(file)[0]
    if file.suffix.lower() == ".npy":
        return read_llff(file, _llff_names(file, images))
    document = read_json_object(file)
    if "frames" in document:
        sizes = dict(zip(images.names, images.sizes, strict=True))

        def size_of(name: str) -> tuple[int, int] | None:
            # A set photographed in one size: photos that are not in use do not have to be there.
            [match] = match_names([name], images.names, file)
            if match is not None:
                return sizes[images.names[match]]
            return images.sizes[0] if len(set(images.sizes)) == 1 else None

        return read_transforms_json(file, size_of=size_of)
    if "cameras" in document:
        return read_cameras_json(file)
    raise InputError(f"{file}: is neither a cameras.json (it has no 'cameras') nor a transforms.json (no 'frames')")


def _find(path: Path) -> Path:
    """The folder of a COLMAP model, or one of the files."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; known cameras are {_FORMATS}")
    if path.is_dir():
        if is_colmap_model(path):
            return path
        candidates = _candidates(path)
        if not candidates:
            raise InputError(f"{path}: holds no known cameras; they are {_FORMATS}")
        return candidates[0]
    if path.name in ("cameras.bin", "cameras.txt", "images.bin", "images.txt") and is_colmap_model(path.parent):
        return path.parent
    if path.suffix.lower() in (".json", ".npy"):
        return path
    raise InputError(f"{path}: is of no known format; known cameras are {_FORMATS}")


def _candidates(folder: Path) -> list[Path]:
    files = [folder / name for name in _FILES if (folder / name).is_file()]
    return files + [folder / name for name in _MODEL_FOLDERS if is_colmap_model(folder / name)]


def _llff_names(path: Path, images: ImageSet) -> list[str]:
    """The photos that the rows belong to: all of their folder or of `images/` beside the file, whose number fits."""
    rows = len(load_rows(path))
    for folder in (images.photos[0].path.parent, path.parent / "images"):
        if folder.is_dir():
            names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES)
            if len(names) == rows:
                return names
    return sorted(images.names)


def _check_lens(path: Path, camera: Cameras) -> None:
    """Refuse a distortion that turns the picture back onto itself within the photo."""
    K, distortion = camera.K[0].numpy(), camera.distortion[0].numpy()
    if camera.K.isfinite().all() and visible_border(K, distortion, camera.sizes[0]) < MIN_VISIBLE_BORDER:
        raise InputError(
            f"{path}: camera {camera.names[0]!r}: its distortion {distortion.tolist()} folds the picture onto itself: it "
            "must be OpenCV's k1, k2, p1, p2 for these fx, fy, cx, cy"
        )


def _check_aspect(path: Path, name: str, given: tuple[int, int], photo: tuple[int, int]) -> None:
    if _same_aspect(given, photo):
        return
    hint = "the photo is cropped or stretched: use the photo that the cameras were made from"
    if _same_aspect((given[1], given[0]), photo):
        hint = (
            "the photo is turned by 90 degrees (perhaps by its EXIF orientation): use it as the cameras' program saw it"
        )
    raise InputError(f"{path}: {name} is {given[0]}x{given[1]} there but the photo is {photo[0]}x{photo[1]}; {hint}")


def _same_aspect(a: tuple[int, int], b: tuple[int, int]) -> bool:
    tolerance = max(ASPECT_TOLERANCE, 1 / min(*a, *b))
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) <= tolerance


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
