"""Tanks and Temples and MVImgNet as InstantSplat (Fan et al. 2024) cuts them: 24 frames, 12 of them to measure on."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from sparse3d.bench.datasets.common import Loader, at_photo_sizes, by_number, choose_scenes, list_folders, list_photos
from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.errors import InputError
from sparse3d.io.colmap import read_colmap
from sparse3d.io.known_cameras import match_names

FRAMES = 24
TEST_FRAMES = 12
VIEWS = (3, 6, 12)
FRAME_FOLDER = "24_views/images"
MODEL = "sparse/0"


def read(root: Path, scenes: Sequence[str] | None, protocol: str, *, dataset: str) -> list[BenchScene]:
    """Every folder with a 24_views/images, or those named."""
    names = choose_scenes(root, list_folders(root, holding=FRAME_FOLDER), scenes, f"SCENE/{FRAME_FOLDER}")
    return [_read_scene(root / name, protocol, dataset) for name in names]


def split_frames(names: Sequence[str]) -> dict[str, Split]:
    """Test frames at linspace(1, N - 2), training frames at linspace over the rest, both cut off to whole numbers."""
    test = [int(i) for i in np.linspace(1, len(names) - 2, TEST_FRAMES, dtype=int)]
    rest = [i for i in range(len(names)) if i not in test]
    trains = {k: [rest[int(i)] for i in np.linspace(0, len(rest) - 1, k, dtype=int)] for k in VIEWS}
    return {str(k): Split(tuple(names[i] for i in train), tuple(names[i] for i in test)) for k, train in trains.items()}


def _read_scene(folder: Path, protocol: str, dataset: str) -> BenchScene:
    frames = folder / FRAME_FOLDER
    names = by_number(list_photos(frames))
    if len(names) != FRAMES:
        raise InputError(
            f"{frames}: has {len(names)} photos, the protocol is for {FRAMES}; use InstantSplat's own frames"
        )
    model, _ = read_colmap(folder / MODEL)
    matches = match_names(names, model.names, folder / MODEL)
    missing = [name for name, match in zip(names, matches, strict=True) if match is None]
    if missing:
        raise InputError(f"{folder / MODEL}: has no camera for {', '.join(missing[:4])} of {FRAME_FOLDER}")
    cameras = model.select([match for match in matches if match is not None]).replace(names=tuple(names))
    photos = {name: frames / name for name in names}
    return BenchScene(
        dataset=dataset,
        scene=folder.name,
        protocol=protocol,
        photos=photos,
        cameras=at_photo_sizes(cameras, photos),
        splits=split_frames(names),
    )


TANKS = Loader(("instantsplat-tanks",), partial(read, dataset="tanks"))
MVIMGNET = Loader(("instantsplat-mvimgnet",), partial(read, dataset="mvimgnet"))
