"""What a photo's EXIF data says of its orientation, its focal length and its camera."""

import logging
import math
from dataclasses import dataclass

from PIL import Image
from PIL.ExifTags import IFD, Base

logger = logging.getLogger(__name__)

FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)
"""The diagonal of a 36 x 24 mm film frame, 43.27 mm."""

PLAUSIBLE_FOCAL = (0.3, 10.0)
"""Focal lengths outside of these multiples of the long side (118 and 5.7 degrees across) are taken for errors."""

_MM_PER_RESOLUTION_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


@dataclass(frozen=True)
class ExifFacts:
    """What was found.

    Attributes:
        orientation: EXIF's 1 to 8; 1 is upright as stored.
        focal_px: focal length in pixels of the photo at its present size; None where unknown or implausible.
        camera_model: make, model, focal length and upright size as one string; None without make and model.
    """

    orientation: int
    focal_px: float | None
    camera_model: str | None


def read_exif(image: Image.Image, name: str) -> ExifFacts:
    """Read the EXIF facts of an opened photo. Damaged EXIF data count as absent.

    Args:
        image: as opened by Pillow, not yet turned upright.
        name: of the photo, for messages.
    """
    try:
        exif = image.getexif()
        details = exif.get_ifd(IFD.Exif)
    except (
        Exception
    ) as error:  # Pillow raises many types on damaged EXIF blocks, struct.error and SyntaxError among them
        logger.warning("%s: its EXIF data are damaged and ignored (%s)", name, error)
        return ExifFacts(1, None, None)
    orientation = exif.get(Base.Orientation, 1)
    if orientation not in range(1, 9):
        orientation = 1
    width, height = image.size if orientation < 5 else image.size[::-1]
    focal_mm = _positive(details.get(Base.FocalLength))
    focal_35mm = _positive(details.get(Base.FocalLengthIn35mmFilm))
    focal_px = _focal_px(details, focal_mm, focal_35mm, width, height)
    low, high = (factor * max(width, height) for factor in PLAUSIBLE_FOCAL)
    if focal_px is not None and not low <= focal_px <= high:
        logger.warning(
            "%s: the EXIF focal length of %.0f px is implausible for %dx%d; ignored", name, focal_px, width, height
        )
        focal_px = None
    make, model = (str(exif.get(tag) or "").strip(" \0").replace("|", "/") for tag in (Base.Make, Base.Model))
    camera_model = None
    if make or model:
        focal_text = "/".join(f"{f:g}mm" if f else "?" for f in (focal_mm, focal_35mm))
        camera_model = f"{make}|{model}|{focal_text}|{width}x{height}"
    return ExifFacts(int(orientation), focal_px, camera_model)


def _focal_px(details: dict, focal_mm: float | None, focal_35mm: float | None, width: int, height: int) -> float | None:
    """Focal length in pixels.

    FocalLengthIn35mmFilm is read by the diagonal convention (CIPA DCG-001): the photo's diagonal stands for the film
    frame's diagonal of 43.27 mm. Otherwise FocalLength and the sensor's pixel density, scaled to the present size.
    """
    if focal_35mm is not None:
        return focal_35mm / FULL_FRAME_DIAGONAL_MM * math.hypot(width, height)
    density = _positive(details.get(Base.FocalPlaneXResolution))
    unit_mm = _MM_PER_RESOLUTION_UNIT.get(details.get(Base.FocalPlaneResolutionUnit, 2))
    if focal_mm is None or density is None or unit_mm is None:
        return None
    stored_sides = [_positive(details.get(tag)) for tag in (Base.ExifImageWidth, Base.ExifImageHeight)]
    stored_long = max((side for side in stored_sides if side), default=max(width, height))
    return focal_mm / unit_mm * density * max(width, height) / stored_long


def _positive(value: object) -> float | None:
    """A finite positive number, or None."""
    try:
        number = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None
