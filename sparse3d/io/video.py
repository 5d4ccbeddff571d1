"""Moving pictures as one MP4 file."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sparse3d.core.errors import MissingDependency

CODECS = ("avc1", "vp09", "mp4v")
"""Tried in this order: H.264 plays everywhere but few builds of OpenCV may write it; VP9 plays in every browser; MPEG-4
part 2 plays in desktop players only."""


def write_mp4(frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], fps: int) -> bytes:
    """Encode frames (h w 3), RGB, of one (width, height) in even numbers of pixels.

    Raises:
        MissingDependency: this build of OpenCV has no encoder for MP4.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "video.mp4"
        writer = _open(target, size, fps)
        try:
            for frame in frames:
                writer.write(np.ascontiguousarray(frame[..., ::-1]))
        finally:
            writer.release()
        return target.read_bytes()


def _open(target: Path, size: tuple[int, int], fps: int) -> cv2.VideoWriter:
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a codec that is not there is no error here
    try:
        for codec in CODECS:
            writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*codec), fps, size)
            if writer.isOpened():
                return writer
    finally:
        cv2.utils.logging.setLogLevel(before)
    raise MissingDependency("OpenCV can write no MP4 here: pip install opencv-python-headless, the wheel from PyPI")
