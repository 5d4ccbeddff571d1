"""Two runs in one picture from one eye, with a line between them and their names above.

Both are drawn by our rasteriser: the browser holds one set of splats, and its colours differ a little from a rendering
(docs/viewer.md), so that two runs are only compared fairly when they are drawn alike.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sparse3d.core.cameras import Cameras
from sparse3d_viewer.compare import draw_line
from sparse3d_viewer.drawing import DEPTH, NORMALS, RENDERED, common_range, draw, draw_figures, measure_depth
from sparse3d_viewer.eye import Eye, camera_of
from sparse3d_viewer.scales import Scale
from sparse3d_viewer.session import Rgb
from sparse3d_viewer.subject import Subject

MOVING_FACTOR = 0.35
"""Size of the pictures while the eye moves: an eighth of the pixels, so that they follow it."""

LABEL_PX, LABEL_PAD_PX, LABEL_MARGIN_PX = 16, 6, 10
"""Of the runs' names: the letters' height, the room around them, and the distance from the picture's edge."""

LABEL_INK, LABEL_PLATE = (255, 255, 255), (40, 40, 40)
"""Readable whatever the scene's colours are."""


@dataclass(frozen=True)
class Look:
    """What of both runs is shown: the layer, what its figures mean where it has some, and the colour behind everything."""

    layer: str
    scale: Scale | None
    background: Rgb


def draw_beside(
    subjects: tuple[Subject, Subject],
    names: tuple[str, str],
    eye: Eye,
    divide: float,
    look: Look,
    *,
    moving: bool = False,
) -> NDArray[np.uint8]:
    """A picture of the window's shape, the first run left of the line, the second right of it.

    Args:
        divide: where the line is, from 0 (the left edge: all of the second run) to 1.
        moving: draw fewer pixels, and enlarge them.
    """
    width, height = eye.picture_size
    factor = MOVING_FACTOR if moving else 1.0
    size = (max(2, round(width * factor)), max(2, round(height * factor)))
    at = round(float(np.clip(divide, 0, 1)) * size[0])
    sides = [
        (subject, columns(camera_of(eye, subject.frame, size), *span))
        for subject, span in zip(subjects, ((0, at), (at, size[0])), strict=True)
        if span[1] > span[0]
    ]
    picture = np.concatenate(_draw(sides, look), 1)
    if moving:
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    draw_line(picture, round(float(np.clip(divide, 0, 1)) * width))
    return label(picture, *names)


def columns(camera: Cameras, start: int, stop: int) -> Cameras:
    """The camera of those columns of a camera's picture."""
    K = camera.K.clone()
    K[:, 0, 2] -= start
    return camera.replace(K=K, sizes=((stop - start, camera.sizes[0][1]),))


def label(picture: NDArray[np.uint8], left: str, right: str) -> NDArray[np.uint8]:
    """The picture with a name in either upper corner."""
    image = Image.fromarray(picture)
    canvas, font = ImageDraw.Draw(image), _font()
    for name, on_the_right in ((left, False), (right, True)):
        name = shortened(name, image.width / 2 - 2 * (LABEL_MARGIN_PX + LABEL_PAD_PX))
        room = round(font.getlength(name)) + 2 * LABEL_PAD_PX
        x = image.width - LABEL_MARGIN_PX - room if on_the_right else LABEL_MARGIN_PX
        plate = (x, LABEL_MARGIN_PX, x + room, LABEL_MARGIN_PX + LABEL_PX + 2 * LABEL_PAD_PX)
        canvas.rectangle(plate, fill=LABEL_PLATE)
        canvas.text((x + LABEL_PAD_PX, (plate[1] + plate[3]) / 2), name, LABEL_INK, font, anchor="lm")
    return np.asarray(image)


def shortened(name: str, room: float) -> str:
    """A name that takes no more room, in pixels, its end left out where it has to be."""
    font = _font()
    if font.getlength(name) <= room:
        return name
    while name and font.getlength(name + "…") > room:
        name = name[:-1]
    return name + "…"


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(LABEL_PX)


def _draw(sides: list[tuple[Subject, Cameras]], look: Look) -> list[NDArray[np.uint8]]:
    """The layer, in colours that mean the same on both sides."""
    depth_range = None
    if look.layer == DEPTH:
        depth_range = common_range([measure_depth(subject, camera)[0] for subject, camera in sides])
    return [_draw_side(subject, camera, look, depth_range) for subject, camera in sides]


def _draw_side(
    subject: Subject, camera: Cameras, look: Look, depth_range: tuple[float, float] | None
) -> NDArray[np.uint8]:
    if look.scale is not None and subject.figures is not None:
        return draw_figures(subject, camera, look.layer, look.scale, look.background)
    layer = look.layer if look.layer in (DEPTH, NORMALS) else RENDERED
    return draw(subject, camera, layer, look.background, depth_range=depth_range)
