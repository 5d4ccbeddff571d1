"""What the loaders share: their interface, the splits of the literature, cameras at the photos' sizes."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import group_by_intrinsics
from sparse3d.io.image_files import read_image_size
from sparse3d.io.pixels import PHOTO_SUFFIXES

HOLD_OUT = 8
"""Every eighth photo of the forward-facing and the 360-degree scenes is a test photo (LLFF, Mildenhall et al. 2019)."""

POSE_FRAMES = 10
"""Frames of a sequence in the pose benchmarks (PoseDiffusion, Wang et al. 2023)."""

POSE_SEED = 0

Read = Callable[[Path, Sequence[str] | None, str], list[BenchScene]]
"""(root folder, names of scenes or None for all of the protocol's, protocol) to scenes; no pixel is decoded."""


@dataclass(frozen=True)
class Loader:
    """How a data set is read.

    Attributes:
        protocols: headings in docs/protocols.md; the first is the usual one.
        read: see `Read`.
    """

    protocols: tuple[str, ...]
    read: Read


def choose_scenes(
    root: Path, found: Iterable[str], wanted: Sequence[str] | None, layout: str, *, usual: Sequence[str] | None = None
) -> list[str]:
    """The scenes to read, in the order asked for, else sorted.

    Args:
        found: scenes that the folder holds.
        layout: what a scene looks like on disk, for the message.
        usual: the scenes of the protocol, where it does not take all that there are.

    Raises:
        InputError: none is there, or one that was asked for is not.
    """
    found = sorted(found)
    if wanted is None:
        chosen = found if usual is None else [name for name in usual if name in found]
        if not chosen:
            others = f"; found {_some(found)}, none of the protocol's" if found else ""
            raise InputError(f"{root}: holds no scene of this data set: looked for {layout}{others}")
        return chosen
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(f"{root}: has no scene {_some(missing)} (looked for {layout}); there are: {_some(found)}")
    return list(wanted)


def evenly_spaced(count: int, take: int) -> list[int]:
    """`take` of `count` indices, first and last included, rounded to the even neighbour at ties (RegNeRF's rule).

    Niemeyer et al. 2022, `np.linspace(0, count - 1, take)` and Python's `round`.
    """
    return [round(float(i)) for i in np.linspace(0, count - 1, take)]


def every_eighth_split(where: Path, names: Sequence[str], takes: Sequence[int]) -> dict[str, Split]:
    """Test photos 0, 8, 16, ...; of the rest, in order, as many as wanted, evenly spaced; keyed by their number.

    Raises:
        InputError: too few photos.
    """
    test = tuple(names[::HOLD_OUT])
    rest = [name for i, name in enumerate(names) if i % HOLD_OUT]
    if len(rest) < max(takes):
        raise InputError(f"{where}: has {len(names)} photos, the protocol needs {max(takes)} beside every eighth")
    return {str(k): Split(tuple(rest[i] for i in evenly_spaced(len(rest), k)), test) for k in takes}


def checked_label(where: Path, label: object) -> str:
    """A name of a scene or a split that was read from a file; results are written to folders of such names.

    Raises:
        InputError: it has other characters than letters, digits, `_`, `-` and dots, or begins with a dot.
    """
    if not isinstance(label, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", label):
        raise InputError(f"{where}: {str(label)[:40]!r} is no name: letters, digits, '_', '-' and dots are allowed")
    return label


def random_frames(count: int) -> list[int]:
    """Ten different frames of a sequence, always the same ones for the same count, in ascending order.

    NumPy keeps the stream of its legacy generator for good, so that the choice does not change with its version.
    """
    chosen = np.random.RandomState(POSE_SEED).choice(count, POSE_FRAMES, replace=False)
    return sorted(int(i) for i in chosen)


def list_photos(folder: Path) -> list[str]:
    """Names of the photos in a folder, sorted; none where there is no such folder."""
    if not folder.is_dir():
        return []
    files = (p for p in folder.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES and not p.name.startswith("."))
    return sorted(p.name for p in files if p.is_file())


def list_folders(root: Path, *, holding: str) -> list[str]:
    """Names of the folders in `root` that hold a file or folder of this name, sorted.

    Raises:
        InputError: `root` is no folder.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that the data set was unpacked to")
    return sorted(p.name for p in root.iterdir() if (p / holding).exists() and not p.name.startswith("."))


def by_number(names: Iterable[str]) -> list[str]:
    """Names sorted by the first number in them, then alphabetically; those without one come last."""

    def key(name: str) -> tuple[float, str]:
        digits = re.search(r"\d+", Path(name).stem)
        return (float(digits.group()) if digits else float("inf"), name)

    return sorted(names, key=key)


def known_cameras(
    where: Path,
    photos: Mapping[str, Path],
    views: Sequence[tuple[Float[ndarray, "3 3"], Float[ndarray, "4 4"]]],
    sizes: Sequence[tuple[int, int]],
    distortion: Sequence[Sequence[float]] | None = None,
) -> Cameras:
    """True cameras, one a photo.

    Args:
        where: for messages.
        views: K and cam_from_world.
        sizes: (width, height) that K is for.
        distortion: k1, k2, p1, p2; none for pinholes.

    Raises:
        InputError: two views have a photo of the same name.
    """
    if len(photos) != len(views):
        raise InputError(f"{where}: has two frames with a photo of the same name")
    K = np.stack([K for K, _ in views])
    lens = torch.tensor(distortion or [[0.0] * 4] * len(views), dtype=torch.float64)
    return Cameras.build(
        torch.tensor(np.stack([cam_from_world for _, cam_from_world in views])),
        torch.tensor(K),
        sizes,
        distortion=lens,
        names=tuple(photos),
        groups=group_by_intrinsics(sizes, K.tolist(), lens.tolist()),
        pose_known=True,
        intrinsics_known=True,
    )


def at_photo_sizes(cameras: Cameras, photos: Mapping[str, Path], *, factor: int = 1) -> Cameras:
    """The cameras at the sizes of the photos, which are `factor` times smaller than what the cameras were made for.

    Raises:
        InputError: a photo is missing, or its size is more than a pixel off, so that it is another picture.
    """
    sizes = []
    for name, path, (width, height) in zip(photos, photos.values(), cameras.sizes, strict=True):
        if not path.is_file():
            raise InputError(f"{path}: missing, though the data set's cameras name {name}; unpack the archive again")
        found = read_image_size(path)
        if max(abs(found[0] - width / factor), abs(found[1] - height / factor)) >= 1:
            raise InputError(
                f"{path}: is {found[0]}x{found[1]}, but 1/{factor} of the {width}x{height} that its camera was made for is "
                f"{width / factor:.4g}x{height / factor:.4g}; use the data set's own files"
            )
        sizes.append(found)
    return cameras.resized(sizes)


def shrunk(cameras: Cameras, factor: int) -> Cameras:
    """The cameras of photos that are to be shrunk by a whole number."""
    return cameras.resized([(round(w / factor), round(h / factor)) for w, h in cameras.sizes])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") if names else "none"
