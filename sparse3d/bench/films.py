"""A short film of a job's result: the camera moves from photo to photo."""

from collections.abc import Iterator
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray

from sparse3d.core.camera_path import path_through
from sparse3d.core.cameras import Cameras
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.render_views import render_camera
from sparse3d.io.atomic import atomic_write_bytes, make_folder
from sparse3d.io.image_files import to_bytes
from sparse3d.io.video import write_mp4
from sparse3d.render.rasterise import RenderOptions

SECONDS, FPS, LONGER_SIDE = 3, 24, 512
"""About a megabyte and, on one core, some ten seconds a film."""


def write_film(path: Path, scene: Reconstruction, options: RenderOptions) -> None:
    """Write the film of a scene as an MP4 file.

    Args:
        scene: with at least two placed photos.

    Raises:
        InputError: the file cannot be written.
        MissingDependency: this build of OpenCV has no encoder for MP4.
    """
    cameras = path_through(scene.cameras, SECONDS * FPS, LONGER_SIDE)
    content = write_mp4(_frames(scene, cameras, options), cameras.sizes[0], FPS)
    make_folder(path.parent)
    atomic_write_bytes(path, content)


def _frames(scene: Reconstruction, cameras: Cameras, options: RenderOptions) -> Iterator[UInt8[ndarray, "h w 3"]]:
    for index in range(len(cameras)):
        [view] = render_camera(scene, cameras.select([index]), options)
        yield to_bytes(view.rgb)
