"""Real forward-facing scenes of LLFF and NeRF (Mildenhall et al. 2019, 2020), `nerf_llff_data`."""

from collections.abc import Sequence
from pathlib import Path

from sparse3d.bench.datasets.common import (
    Loader,
    at_photo_sizes,
    choose_scenes,
    every_eighth_split,
    list_folders,
    list_photos,
)
from sparse3d.bench.scene import BenchScene
from sparse3d.core.errors import InputError
from sparse3d.io.llff import read_llff

FACTORS = {"llff-8": 8, "llff-4": 4}
VIEWS = (3, 6, 9)


def read(root: Path, scenes: Sequence[str] | None, protocol: str) -> list[BenchScene]:
    """Every folder with a poses_bounds.npy, or those named."""
    found = list_folders(root, holding="poses_bounds.npy")
    names = choose_scenes(root, found, scenes, "SCENE/poses_bounds.npy")
    return [_read_scene(root / name, protocol) for name in names]


def _read_scene(folder: Path, protocol: str) -> BenchScene:
    factor = FACTORS[protocol]
    reduced = folder / f"images_{factor}"
    names = list_photos(reduced)
    if not names:
        raise InputError(f"{reduced}: no photos; unpack nerf_llff_data.zip again, which holds them at this size")
    photos = {name: reduced / name for name in names}
    return BenchScene(
        dataset="llff",
        scene=folder.name,
        protocol=protocol,
        photos=photos,
        cameras=at_photo_sizes(read_llff(folder / "poses_bounds.npy", names), photos, factor=factor),
        splits=every_eighth_split(folder, names, VIEWS),
    )


LOADER = Loader(tuple(FACTORS), read)
