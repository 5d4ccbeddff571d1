"""Rendered objects of NeRF (Mildenhall et al. 2020), `nerf_synthetic`, with the eight views of DietNeRF."""

from collections.abc import Sequence
from pathlib import Path

from sparse3d.bench.datasets.common import Loader, at_photo_sizes, choose_scenes, list_folders, shrunk
from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.cameras import Cameras, concatenate
from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import group_by_intrinsics
from sparse3d.io.image_files import read_image_size
from sparse3d.io.safe_paths import safe_join
from sparse3d.io.transforms_json import read_transforms_json

PROTOCOL = "nerf-synthetic-8views"
TRAIN = (26, 86, 2, 55, 75, 93, 16, 73)
TEST_STEP = 8
TEST_VIEWS = 25
FACTOR = 2
WHITE = (1.0, 1.0, 1.0)
TRAIN_FILE, TEST_FILE = "transforms_train.json", "transforms_test.json"


def read(root: Path, scenes: Sequence[str] | None, protocol: str) -> list[BenchScene]:
    """Every folder with a transforms_train.json, or those named."""
    names = choose_scenes(root, list_folders(root, holding=TRAIN_FILE), scenes, f"SCENE/{TRAIN_FILE}")
    return [_read_scene(root / name, protocol) for name in names]


def _read_scene(folder: Path, protocol: str) -> BenchScene:
    train = _cameras(folder / TRAIN_FILE, list(TRAIN))
    test = _cameras(folder / TEST_FILE, [TEST_STEP * i for i in range(TEST_VIEWS)])
    cameras = concatenate([train, test])
    photos = {_name(file): folder / file for file in cameras.names}
    if len(photos) < len(cameras):
        raise InputError(f"{folder}: {TEST_FILE} names photos of {TRAIN_FILE}; unpack nerf_synthetic.zip again")
    alike = group_by_intrinsics(cameras.sizes, cameras.K.tolist(), cameras.distortion.tolist())
    cameras = cameras.replace(names=tuple(photos), groups=tuple(alike))
    return BenchScene(
        dataset="nerf_synthetic",
        scene=folder.name,
        protocol=protocol,
        photos=photos,
        cameras=shrunk(at_photo_sizes(cameras, photos), FACTOR),
        splits={str(len(TRAIN)): Split(tuple(map(_name, train.names)), tuple(map(_name, test.names)))},
        downscale=FACTOR,
        background=WHITE,
    )


def _name(file: str) -> str:
    """ "train_r_16.png" for train/r_16.png: there is a test/r_16.png too."""
    return file.replace("/", "_")


def _cameras(path: Path, indices: Sequence[int]) -> Cameras:
    """Some frames of a transforms file, named by their photos' files: `file_path` lacks its suffix there."""
    first = next(path.parent.glob("train/*.png"), None)
    if first is None:
        raise InputError(f"{path.parent / 'train'}: no PNG in it; unpack nerf_synthetic.zip again")
    size = read_image_size(first)  # the file gives none; all are of one size, which is checked for those in use
    cameras = read_transforms_json(path, size_of=lambda name: size)
    if len(cameras) <= max(indices):
        raise InputError(f"{path}: has {len(cameras)} frames, the protocol takes number {max(indices)}")
    if not cameras.K.isfinite().all():
        raise InputError(f"{path}: has no camera_angle_x")
    chosen = cameras.select(indices)
    return chosen.replace(names=tuple(safe_join(Path(), f"{name}.png", path).as_posix() for name in chosen.names))


LOADER = Loader((PROTOCOL,), read)
