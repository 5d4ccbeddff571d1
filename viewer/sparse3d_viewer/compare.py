"""A photo beside its rendering, or their difference, in one picture with a line between the two sides."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer.layers import ERROR_RANGE
from sparse3d_viewer.photos import PhotoPair
from sparse3d_viewer.scales import turbo

OFF = "Off"
COMPARISONS = (OFF, "Photo | rendering", "Photo | difference", "Rendering | difference")

LINE_PX, LINE_COLOUR, LINE_EDGE = 1, (255, 255, 255), (60, 60, 60)
"""Pixels on either side of the line, white with dark edges, so that it shows before anything."""


def compare(
    pair: PhotoPair, comparison: str, wipe: float, size: tuple[int, int], background: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """A picture of the window's (width, height) with the photo whole in its middle, as the page shows a photo's view.

    Args:
        comparison: one of `COMPARISONS`, not `OFF`. A difference is the mean of the channels' absolute differences, in
            turbo colours over `layers.ERROR_RANGE`.
        wipe: where the line is, from 0 (the left edge of the photo: all of the second) to 1.
        background: beside the photo.
    """
    sides = {
        "Photo": lambda: pair.photo,
        "Rendering": lambda: pair.rendering,
        "difference": lambda: turbo(pair.residual, *ERROR_RANGE),
    }
    left, right = (sides[name if name in sides else name.capitalize()]() for name in comparison.split(" | "))
    height, width = pair.photo.shape[:2]
    factor = min(size[0] / width, size[1] / height)
    shown = (max(1, min(size[0], round(width * factor))), max(1, min(size[1], round(height * factor))))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    left, right = (np.asarray(cv2.resize(x, shown, interpolation=how), np.uint8) for x in (left, right))
    at = round(np.clip(wipe, 0, 1) * shown[0])
    joined = np.concatenate([left[:, :at], right[:, at:]], 1)
    draw_line(joined, at)
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = background
    x, y = (size[0] - shown[0]) // 2, (size[1] - shown[1]) // 2
    picture[y : y + shown[1], x : x + shown[0]] = joined
    return picture


def draw_line(picture: NDArray[np.uint8], at: int) -> None:
    """Mark the line between two sides in a picture (h w 3), unless one of them is empty."""
    if 0 < at < picture.shape[1]:
        picture[:, max(0, at - 2 * LINE_PX) : at + 2 * LINE_PX] = LINE_EDGE
        picture[:, max(0, at - LINE_PX) : at + LINE_PX] = LINE_COLOUR
