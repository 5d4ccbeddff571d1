"""A photo beside its rendering, or their difference, in one picture with a line between the two sides."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer.layers import ERROR_RANGE, turbo
from sparse3d_viewer.photos import PhotoPair

OFF = "Off"
COMPARISONS = (OFF, "Photo | rendering", "Photo | difference", "Rendering | difference")

LINE_PX, LINE_COLOUR = 2, (255, 255, 255)


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
    left, right = (cv2.resize(x, shown, interpolation=how) for x in (left, right))
    at = round(np.clip(wipe, 0, 1) * shown[0])
    joined = np.concatenate([left[:, :at], right[:, at:]], 1)
    if 0 < at < shown[0]:
        joined[:, max(0, at - LINE_PX // 2) : at + LINE_PX // 2] = LINE_COLOUR
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = background
    x, y = (size[0] - shown[0]) // 2, (size[1] - shown[1]) // 2
    picture[y : y + shown[1], x : x + shown[0]] = joined
    return picture
