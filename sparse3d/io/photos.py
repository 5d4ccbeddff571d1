"""A folder of photos, as people have them, to an `ImageSet`."""

import difflib
import hashlib
import logging
import os
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.core.images import ImageSet, Photo
from sparse3d.io import pixels as px
from sparse3d.io.exif import read_exif

logger = logging.getLogger(__name__)

MASK_FOLDER = "masks"
MIN_PHOTOS = 2
MANY_PHOTOS = 24
"""More than these work, but the program is made for few views: pairs to match grow with the square."""

UNREAD_SUFFIXES = (
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".orf",
    ".rw2",
    ".raf",
    ".gif",
    ".bmp",
    ".avif",
    ".jxl",
    ".jp2",
)
"""Files that are photos to their owner, and that are reported rather than passed over in silence."""

ALIKE_THUMBNAILS = 3.0
"""Photos whose thumbnails differ by less, in mean grey levels, are compared pixel by pixel."""


@dataclass(frozen=True)
class _Checked:
    """A photo that decodes, with what duplicates are found by."""

    photo: Photo
    thumbnail: UInt8[ndarray, "32 32 3"]


def load_photos(folder: Path, *, names: Sequence[str] | None = None) -> ImageSet:
    """Load the photos of a folder: their names, sizes, focal lengths and masks; pixels stay on disk until asked for.

    JPEG, PNG, TIFF and WebP, and HEIC where `pillow-heif` is installed. EXIF orientation is applied to everything. A
    folder `masks/` inside may hold an image for each photo (same name without the suffix, same upright size) whose
    non-zero pixels count; where a photo has an alpha channel, pixels with alpha 0 do not count. Photos that cannot be
    used are left out, logged, and listed in `ImageSet.skipped` with the reason: unreadable or truncated, too large, the
    same picture twice.

    Args:
        folder: holds the photos themselves; folders inside are not searched.
        names: use these files only.

    Raises:
        InputError: the folder or a named photo is not there, a mask does not fit, or fewer than two photos are usable.
        MissingDependency: fewer than two photos are usable because HEIC cannot be read.
    """
    folder = Path(folder)
    paths, skipped = _list_photos(folder, names)
    masks = find_masks(folder / MASK_FOLDER)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        results = list(pool.map(partial(_check_photo, masks=masks), paths))
    checked: list[_Checked] = []
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, _Checked):
            reason = _why_duplicate(result, checked)
            if reason is None:
                checked.append(result)
                continue
        else:
            reason = str(result)
        skipped.append((_plain_text(path.name), reason))
    for name, reason in skipped:
        logger.warning("%s: left out: it %s", folder / name, reason)
    if len(checked) < MIN_PHOTOS:
        needs_heic = any(isinstance(result, MissingDependency) for result in results)
        raise (MissingDependency if needs_heic else InputError)(_too_few_message(folder, checked, skipped))
    if len(checked) > MANY_PHOTOS:
        logger.warning(
            "%s: %d photos, made for 2 to %d: this will be slow. Choose the best with --images a.jpg b.jpg ...",
            folder, len(checked), MANY_PHOTOS,
        )  # fmt: skip
    return ImageSet(tuple(c.photo for c in checked), read_photo_pixels, read_photo_mask, tuple(sorted(skipped)))


def read_photo_pixels(photo: Photo) -> UInt8[ndarray, "h w 3"]:
    """Decode a photo: upright, 8-bit RGB. Grey, 16-bit, palette, CMYK and transparent photos are converted.

    Raises:
        InputError: it cannot be decoded, or has changed since the folder was loaded.
    """
    try:
        with px.open_image(photo.path) as image:
            orientation = read_exif(image, photo.name).orientation
            pixels = px.turn_upright(px.to_rgb(image), orientation)
    except px.UnusablePhotoError as error:
        raise InputError(f"{photo.path}: {error}") from error
    return _same_size(pixels, photo, photo.path)


def read_photo_mask(photo: Photo) -> Bool[ndarray, "h w"]:
    """True where a photo's pixels count: its mask and its alpha channel together.

    Raises:
        InputError: the mask cannot be decoded or is of another size than the photo.
    """
    mask = np.ones((photo.size[1], photo.size[0]), dtype=bool)
    if photo.mask_path is None:
        return mask
    try:
        with px.open_image(photo.path) as image:
            if px.has_alpha(image):
                alpha = px.turn_upright(px.to_alpha(image), read_exif(image, photo.name).orientation)
                mask &= _same_size(alpha, photo, photo.path)
    except px.UnusablePhotoError as error:
        raise InputError(f"{photo.path}: {error}") from error
    if photo.mask_path == photo.path:
        return mask
    try:
        with px.open_image(photo.mask_path) as image:
            orientation = read_exif(image, photo.mask_path.name).orientation
            mask &= _same_size(px.turn_upright(px.to_nonzero(image), orientation), photo, photo.mask_path)
    except px.UnusablePhotoError as error:
        raise InputError(f"{photo.mask_path}: {error}") from error
    return mask


def find_masks(folder: Path) -> dict[str, Path]:
    """The mask files of a folder by stem (a mask of `a.jpg` may be `a.png` or, as COLMAP has it, `a.jpg.png`)."""
    if not folder.is_dir():
        return {}
    suffixes = (*px.PHOTO_SUFFIXES, ".bmp", ".gif")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))
    return {p.stem: p for p in files}


def _list_photos(folder: Path, names: Sequence[str] | None) -> tuple[list[Path], list[tuple[str, str]]]:
    """The files to try, sorted by name, and those of formats that are not read, with the reason."""
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; give the folder that holds the photos")
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; give the folder that holds the photos")
    try:
        files = sorted(
            (p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")), key=lambda p: p.name
        )
    except PermissionError as error:
        raise InputError(f"{folder}: may not be read: change its permissions") from error
    photos = [p for p in files if p.suffix.lower() in px.PHOTO_SUFFIXES]
    unread = [p.name for p in files if p.suffix.lower() in UNREAD_SUFFIXES]
    if names is not None:
        by_name = {p.name: p for p in photos}
        missing = [name for name in names if name not in by_name]
        if missing:
            close = difflib.get_close_matches(missing[0], list(by_name), n=3, cutoff=0.4) or sorted(by_name)[:3]
            hint = f"; did you mean {', '.join(close)}?" if close else ", and no other photo either"
            raise InputError(f"{folder}: holds no photo named {', '.join(missing)}{hint}")
        return sorted({by_name[name] for name in names}, key=lambda p: p.name), []
    return photos, [(name, f"is a {Path(name).suffix} file: convert it to JPEG or PNG") for name in unread]


def _check_photo(path: Path, masks: dict[str, Path]) -> "_Checked | px.UnusablePhotoError | MissingDependency":
    """Read the facts of a photo and decode it once at low resolution, so that damage shows up now and not later."""
    try:
        if _plain_text(path.name) != path.name:
            raise px.UnusablePhotoError("has a name with line breaks or bytes that are no text: rename it")
        with px.open_image(path) as image:
            facts = read_exif(image, path.name)
            size = px.upright_size(image.size, facts.orientation)
            if min(size) < 16:
                raise px.UnusablePhotoError(f"is too small ({size[0]}x{size[1]}): use the original")
            alpha = px.has_alpha(image)
            thumbnail = px.turn_upright(px.thumbnail(image), facts.orientation)
            if alpha and not px.to_alpha(image).any():
                raise px.UnusablePhotoError("is wholly transparent: no pixel of it counts")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (px.UnusablePhotoError, MissingDependency) as error:
        return error
    mask_path = masks.get(path.stem) or masks.get(path.name) or (path if alpha else None)
    photo = Photo(path, path.name, size, facts.focal_px, facts.camera_model, sha256, mask_path)
    if mask_path not in (None, path):
        try:
            _check_mask(photo, mask_path)
        except px.UnusablePhotoError as error:
            return error
    return _Checked(photo, thumbnail)


def _plain_text(name: str) -> str:
    """A name without control characters and undecodable bytes, which the formats written later cannot hold."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in name)


def _check_mask(photo: Photo, mask_path: Path) -> None:
    """Refuse a mask that does not fit, and a photo of which no pixel counts."""
    try:
        with px.open_image(mask_path) as image:
            size = px.upright_size(image.size, read_exif(image, mask_path.name).orientation)
            counts = size == photo.size and bool(px.to_nonzero(image).any())
    except px.UnusablePhotoError as error:
        raise InputError(f"{mask_path}: {error}") from error
    if size != photo.size:
        hint = "; make it as large as the photo"
        if size == photo.size[::-1]:
            hint = "; it seems to be lying on its side: masks are for the upright photo"
        raise InputError(
            f"{mask_path}: is {size[0]}x{size[1]} but {photo.name} is {photo.size[0]}x{photo.size[1]}{hint}"
        )
    if not counts:
        raise px.UnusablePhotoError(f"has a mask that is black everywhere ({mask_path}): what counts is white in it")


def _why_duplicate(new: _Checked, kept: Sequence[_Checked]) -> str | None:
    """The reason to leave a photo out for one that is there already, or None."""
    for other in kept:
        photo, name = other.photo, other.photo.name
        if photo.sha256 == new.photo.sha256:
            return f"is the same file as {name}"
        if photo.path.stem == new.photo.path.stem:
            return f"has the same name as {name} in another format: rename it if it is another picture"
        difference = np.abs(other.thumbnail.astype(np.int16) - new.thumbnail).mean()
        if photo.size != new.photo.size or difference > ALIKE_THUMBNAILS:
            continue
        try:
            if np.array_equal(read_photo_pixels(photo), read_photo_pixels(new.photo)):
                return f"shows the same pixels as {name}"
        except InputError as error:
            return f"cannot be decoded in full ({error})"
    return None


def _too_few_message(folder: Path, checked: Sequence[_Checked], skipped: Sequence[tuple[str, str]]) -> str:
    message = (
        f"{folder}: found {len(checked)} readable photo{'' if len(checked) == 1 else 's'}, need at least {MIN_PHOTOS}"
    )
    if skipped:
        return message + "; left out: " + "; ".join(f"{name} {reason}" for name, reason in skipped)
    if not checked:
        inside = sorted(
            p.name for p in folder.iterdir() if p.is_dir() and any(_looks_like_photo(q) for q in p.iterdir())
        )
        inside = [name for name in inside if name != MASK_FOLDER]
        if inside:
            return message + f"; there are photos in its folder {inside[0]}: give {folder / inside[0]}"
        return message + " (JPEG, PNG, TIFF, WebP, or HEIC with the extra `heic`)"
    return message


def _looks_like_photo(path: Path) -> bool:
    return path.suffix.lower() in px.PHOTO_SUFFIXES


def _same_size(array: ndarray, photo: Photo, path: Path) -> ndarray:
    height, width = array.shape[:2]
    if (width, height) != photo.size:
        wanted = f"{photo.size[0]}x{photo.size[1]}"
        raise InputError(f"{path}: is {width}x{height}, expected {wanted}; if it changed meanwhile, start again")
    return array
