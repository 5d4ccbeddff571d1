"""Decoding one image file to upright 8-bit RGB, whatever its mode, depth and orientation."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from sparse3d.core.errors import InputError, MissingDependency

HEIC_SUFFIXES = (".heic", ".heif", ".hif")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", *HEIC_SUFFIXES)

MAX_PIXELS = 178_000_000
"""Larger photos would need gigabytes while they are decoded; just below the limit from which Pillow refuses to open."""

# Pillow warns from half of that limit on, which is of no use to the user.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

CHECK_SIDE = 512
"""JPEG files are checked at a reduced size, about this many pixels, which takes a quarter of the time."""


class UnusablePhotoError(Exception):
    """Why a photo cannot be used, as the end of a sentence that begins with its name."""


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file without decoding it.

    Raises:
        UnusablePhotoError: missing, unreadable, no image, too large; from decoding inside: truncated or damaged.
    """
    if path.suffix.lower() in HEIC_SUFFIXES:
        _register_heic()
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnusablePhotoError(_too_large(f"{image.width}x{image.height}"))
            yield image
    except (UnusablePhotoError, InputError, MissingDependency):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusablePhotoError(_too_large("its size")) from error
    except UnidentifiedImageError as error:
        raise UnusablePhotoError("is not an image that can be read: convert it to JPEG or PNG") from error
    except MemoryError as error:
        raise UnusablePhotoError("needs more memory than there is: scale it down") from error
    except FileNotFoundError as error:
        raise UnusablePhotoError("does not exist") from error
    except PermissionError as error:
        raise UnusablePhotoError("may not be read: change its permissions") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, TypeError and more on damaged files
        raise UnusablePhotoError(f"is truncated or damaged ({error}): copy it again from its source") from error


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(width, height) after an EXIF orientation was applied."""
    return size if orientation < 5 else (size[1], size[0])


def turn_upright(pixels: ndarray, orientation: int) -> ndarray:
    """Apply an EXIF orientation of 1 to 8 to an array (h w) or (h w channel)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def has_alpha(image: Image.Image) -> bool:
    """Whether the image carries transparency."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def to_rgb(image: Image.Image) -> UInt8[ndarray, "h w 3"]:
    """Decode to 8-bit RGB as stored (not turned upright). Deep grey is scaled, colour profiles are ignored.

    Raises:
        UnusablePhotoError: a mode without a sensible scale to 8 bits.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_deep_grey_to_8_bit(np.asarray(image))[..., None], 3, axis=2)
    if image.mode in ("P", "PA") and has_alpha(image):
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def over(image: Image.Image, background: Sequence[float]) -> UInt8[ndarray, "h w 3"]:
    """Decode to 8-bit RGB over a colour in [0, 1] that shows where the image is transparent (straight alpha)."""
    if not has_alpha(image):
        return to_rgb(image)
    rgba = np.asarray(image.convert("RGBA"), dtype=np.float64) / 255
    alpha = rgba[..., 3:]
    return np.round(255 * (rgba[..., :3] * alpha + np.asarray(background) * (1 - alpha))).astype(np.uint8)


def to_alpha(image: Image.Image) -> Bool[ndarray, "h w"]:
    """True where the image is not wholly transparent, as stored (not turned upright)."""
    if not has_alpha(image):
        return np.ones((image.height, image.width), dtype=bool)
    return np.asarray(image.convert("RGBA"))[..., 3] > 0


def to_nonzero(image: Image.Image) -> Bool[ndarray, "h w"]:
    """How masks are read: true where any colour channel is not zero, and nor is the alpha channel, if there is one."""
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    values = np.asarray(image)
    if values.ndim == 2:
        return values != 0
    colours = values[..., :-1] if image.mode in ("RGBA", "LA") else values
    return (colours != 0).any(-1) & to_alpha(image)


def thumbnail(image: Image.Image) -> UInt8[ndarray, "h w 3"]:
    """Decode the whole file, JPEG at reduced size, to 32x32 pixels: shows damage and finds likely duplicates.

    Raises:
        OSError: truncated or damaged data.
    """
    if image.format in ("JPEG", "MPO"):  # other plugins would hand out an embedded preview and leave the picture unread
        image.draft(None, (CHECK_SIDE, CHECK_SIDE))
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        small = Image.fromarray(to_rgb(image))
    else:
        small = image.convert("RGB")
    return np.asarray(small.resize((32, 32), Image.Resampling.BOX))


def encode_png(pixels: ndarray) -> bytes:
    """8-bit RGB or grey, or 16-bit grey, as PNG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _deep_grey_to_8_bit(values: ndarray) -> UInt8[ndarray, "h w"]:
    """Grey of more than 8 bits, scaled: 16-bit by 257; floats and 32-bit integers by what range they keep to."""
    sixteen_bit = values.dtype == np.uint16
    is_float = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    largest = values.max(initial=0.0)
    if values.min(initial=0.0) < 0 or largest > 65535:
        raise UnusablePhotoError("has pixel values outside of 16 bits: convert it to 8-bit JPEG or PNG")
    if sixteen_bit or largest > 255:
        values = values / 257
    elif is_float and largest <= 1:
        values = values * 255
    return np.round(values).astype(np.uint8)


def _too_large(size: str) -> str:
    return f"is too large ({size}, more than {MAX_PIXELS // 1_000_000} megapixels): scale it down first"


def _register_heic() -> None:
    try:
        import pillow_heif  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingDependency(
            "is HEIC, which needs pillow-heif: pip install 'sparse3d[heic]', or convert it to JPEG"
        ) from error
    pillow_heif.register_heif_opener()
