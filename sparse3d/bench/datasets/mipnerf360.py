"""Unbounded scenes of Mip-NeRF 360 (Barron et al. 2022), `360_v2`."""

from collections.abc import Sequence
from pathlib import Path

from sparse3d.bench.datasets.common import Loader, at_photo_sizes, choose_scenes, every_eighth_split, list_folders
from sparse3d.bench.scene import BenchScene
from sparse3d.core.errors import InputError
from sparse3d.io.colmap import read_colmap
from sparse3d.io.safe_paths import safe_join

PROTOCOL = "mipnerf360-8"
FACTOR = 8
VIEWS = (12, 24)
MODEL = "sparse/0"


def read(root: Path, scenes: Sequence[str] | None, protocol: str) -> list[BenchScene]:
    """Every folder with a COLMAP model in sparse/0, or those named."""
    names = choose_scenes(root, list_folders(root, holding=MODEL), scenes, f"SCENE/{MODEL}")
    return [_read_scene(root / name, protocol) for name in names]


def _read_scene(folder: Path, protocol: str) -> BenchScene:
    cameras, _ = read_colmap(folder / MODEL)
    nested = next((name for name in cameras.names if "/" in name), None)
    if nested is not None:
        raise InputError(f"{folder / MODEL}: names a photo in a folder, {nested}; use the data set's own model")
    photos = {name: safe_join(folder / f"images_{FACTOR}", name, folder / MODEL) for name in cameras.names}
    return BenchScene(
        dataset="mipnerf360",
        scene=folder.name,
        protocol=protocol,
        photos=photos,
        cameras=at_photo_sizes(cameras, photos, factor=FACTOR),
        splits=every_eighth_split(folder, cameras.names, VIEWS),
    )


LOADER = Loader((PROTOCOL,), read)
