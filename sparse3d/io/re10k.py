"""Camera files of RealEstate10K (Zhou et al. 2018): one text file a clip."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import checked_pose
from sparse3d.io.text_numbers import read_number_rows

_COLUMNS = 19


@dataclass(frozen=True)
class ClipFrame:
    """A frame of a clip.

    Attributes:
        timestamp: microseconds from the start of the video, by which its picture is named.
        normalised: fx, fy, cx, cy as shares of the picture's width, height, width and height.
        cam_from_world: in an arbitrary unit of the clip.
    """

    timestamp: int
    normalised: tuple[float, float, float, float]
    cam_from_world: Float[ndarray, "4 4"]

    def K(self, size: tuple[int, int]) -> Float[ndarray, "3 3"]:
        """Intrinsics in pixels of a picture of (width, height)."""
        fx, fy, cx, cy = self.normalised
        width, height = size
        return np.array([[fx * width, 0, cx * width], [0, fy * height, cy * height], [0, 0, 1.0]])


def read_re10k(path: Path) -> list[ClipFrame]:
    """All frames of a clip: after a line with the video's address, rows of timestamp, fx, fy, cx, cy, two zeros and the
    3x4 world-to-camera matrix.

    Raises:
        InputError: missing or malformed; the message names the row.
    """
    frames = []
    for number, row in enumerate(read_number_rows(path, skip_lines=1), start=1):
        where = f"{path}: frame number {number}"
        if len(row) != _COLUMNS:
            raise InputError(f"{where}: has {len(row)} numbers, expected {_COLUMNS}; is the file complete?")
        fx, fy, cx, cy = row[1:5]
        if not (fx > 0 and fy > 0) or row[0] < 0 or row[0] != int(row[0]):
            raise InputError(f"{where}: has no whole timestamp with positive focal lengths")
        pose = checked_pose(where, np.array(row[7:]).reshape(3, 4).tolist())
        frames.append(ClipFrame(int(row[0]), (fx, fy, cx, cy), pose))
    return frames
