"""A folder of photos as data: what is known of them without their pixels, and a way to get these."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Bool, UInt8
from numpy import ndarray


@dataclass(frozen=True)
class Photo:
    """One photo, upright (EXIF orientation applied).

    Attributes:
        path: the file.
        name: its name within the photo folder, unique.
        size: (width, height) in pixels after the orientation was applied.
        focal_px: focal length in pixels of `size` from EXIF; None where unknown.
        camera_model: EXIF make and model with the focal length, by which photos share intrinsics; None where unknown.
        sha256: of the file's bytes; finds duplicates and keys the stages.
        mask_path: image whose non-zero pixels count; None where all count.
    """

    path: Path
    name: str
    size: tuple[int, int]
    focal_px: float | None
    camera_model: str | None
    sha256: str
    mask_path: Path | None


@dataclass(frozen=True)
class ImageSet:
    """The photos of one scene, sorted by name. Pixels are read when asked for and not kept.

    Attributes:
        photos: at least two.
        read_pixels, read_mask: how to get a photo's pixels and mask, upright, in sRGB; set by `io.photos.load_photos`.
        skipped: (name, reason) of files that look like photos and cannot be used.
    """

    photos: tuple[Photo, ...]
    read_pixels: Callable[[Photo], UInt8[ndarray, "h w 3"]]
    read_mask: Callable[[Photo], Bool[ndarray, "h w"]]
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(photo.name for photo in self.photos)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        return tuple(photo.size for photo in self.photos)

    def select(self, names: list[str] | tuple[str, ...]) -> "ImageSet":
        """The photos of these names, in this order."""
        by_name = {photo.name: photo for photo in self.photos}
        return ImageSet(tuple(by_name[name] for name in names), self.read_pixels, self.read_mask, self.skipped)
