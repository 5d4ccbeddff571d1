"""Buildings with laser-scanned truth (Strecha et al. 2008) as a benchmark of poses."""

from collections.abc import Sequence
from pathlib import Path

from sparse3d.bench.datasets.common import Loader, at_photo_sizes, choose_scenes, known_cameras
from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.errors import InputError
from sparse3d.io.strecha import read_strecha_camera

PROTOCOL = "strecha-poses"
SUFFIX = ".camera"
CAMERA_FOLDERS = ("urd", "gt_dense_cameras", ".")
"""The authors' archives unpack to `urd`; openMVG's collection has the cameras beside `images`."""
PHOTO_FOLDERS = ("urd", "images", ".")


def read(root: Path, scenes: Sequence[str] | None, protocol: str) -> list[BenchScene]:
    """Every folder with .camera files, or those named."""
    found = [p.name for p in root.iterdir() if p.is_dir() and _camera_files(p)]
    names = choose_scenes(root, found, scenes, "SCENE/urd/0000.png.camera or SCENE/gt_dense_cameras/0000.jpg.camera")
    return [_read_scene(root / name, protocol) for name in names]


def _camera_files(folder: Path) -> list[Path]:
    places = (sorted((folder / place).glob(f"*{SUFFIX}")) for place in CAMERA_FOLDERS)
    return next((files for files in places if files), [])


def _read_scene(folder: Path, protocol: str) -> BenchScene:
    files = _camera_files(folder)
    photos = {}
    for file in files:
        name = file.name.removesuffix(SUFFIX)
        path = next((p / name for place in PHOTO_FOLDERS if ((p := folder / place) / name).is_file()), None)
        if path is None:
            raise InputError(f"{folder}: has {file.name} but no photo {name}; unpack the archive with the photos too")
        photos[name] = path
    parts = [read_strecha_camera(file) for file in files]
    views, sizes = [(K, pose) for K, pose, _, _ in parts], [size for _, _, _, size in parts]
    cameras = known_cameras(folder, photos, views, sizes, [list(lens) for _, _, lens, _ in parts])
    return BenchScene(
        dataset="strecha",
        scene=folder.name,
        protocol=protocol,
        photos=photos,
        cameras=at_photo_sizes(cameras, photos),
        splits={"all": Split(tuple(photos), ())},
    )


LOADER = Loader((PROTOCOL,), read)
