"""A scene under a protocol: all that a benchmark needs of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sparse3d.core.cameras import Cameras


@dataclass(frozen=True)
class Split:
    """Names of the photos that a method gets, and of those that it is measured on."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class BenchScene:
    """Photos with true cameras, and which photo is for what.

    Attributes:
        dataset, scene: such as "llff", "fern".
        protocol: the heading in docs/protocols.md that says how it is measured; figures compare only within one.
        photos: the file of each name, as the data set carries it. Names have no folders in them.
        downscale: whole number by which every photo is to be shrunk (box filter) before a method or a metric sees it.
        cameras: the truth, one a photo in the order of `photos`, at the photos' size *after* `downscale`; poses are NaN
            where nobody knows them.
        splits: by their names, such as "3" or "sparse3".
        masks: files whose white pixels are the object, for masked metrics; empty where the protocol has none.
        depths: files of true z-depth, 16-bit millimetres, 0 where unknown; at most one a photo.
        surface: PLY file of true surface points or a mesh in the cameras' world.
        background: colour in [0, 1] to lay under photos that have an alpha channel, before they are shrunk; None where the
            photos have none.
    """

    dataset: str
    scene: str
    protocol: str
    photos: Mapping[str, Path]
    cameras: Cameras
    splits: Mapping[str, Split]
    downscale: int = 1
    masks: Mapping[str, Path] = field(default_factory=dict)
    depths: Mapping[str, Path] = field(default_factory=dict)
    surface: Path | None = None
    background: tuple[float, float, float] | None = None
