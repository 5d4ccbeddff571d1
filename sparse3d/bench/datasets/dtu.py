"""DTU MVS scans (Jensen et al. 2014) by the protocol of PixelNeRF and RegNeRF.

Two layouts: the official archives (`Rectified/`, `Calibration/`, `Points/`, masks of the RegNeRF authors in `idrmasks/`)
and IDR's packaging (`scanN/image`, `scanN/mask`, `scanN/cameras.npz`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparse3d.bench.datasets.common import Loader, choose_scenes, known_cameras, list_photos, shrunk
from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.io.image_files import read_image_size
from sparse3d.io.projection import decompose_projection, read_idr_projections, read_projection_text

MASKED = "dtu-masked"
PROTOCOLS = (MASKED, "dtu")
SCANS = tuple(f"scan{i}" for i in (8, 21, 30, 31, 34, 38, 40, 41, 45, 55, 63, 82, 103, 110, 114))
VIEWS = 49
LIGHT = "3_r5000"
TRAIN = (25, 22, 28, 40, 44, 48, 0, 8, 13)
EXCLUDED = (3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 36, 37, 38, 39)
TEST = tuple(i for i in range(VIEWS) if i not in TRAIN + EXCLUDED)
TAKES = (3, 6, 9)
FACTOR = 4

_LAYOUT = "Rectified/scanN/rect_001_3_r5000.png, or scanN/image with scanN/cameras.npz"
_RECTIFIED = "Rectified"
_CALIBRATIONS = ("Calibration/cal18", "SampleSet/MVS Data/Calibration/cal18")
_IDR_CAMERAS = ("cameras.npz", "cameras_sphere.npz")


def read(root: Path, scenes: Sequence[str] | None, protocol: str) -> list[BenchScene]:
    """The fifteen test scans that are there, or the scans named ("scan8")."""
    official = _scans(root / _RECTIFIED, f"rect_001_{LIGHT}.png")
    packaged = [name for name in _scans(root, "image") if name not in official]
    names = choose_scenes(root, [*official, *packaged], scenes, _LAYOUT, usual=SCANS)
    return [_read_scan(root, name, protocol, official=name in official) for name in names]


def _scans(folder: Path, holding: str) -> list[str]:
    if not folder.is_dir():
        return []
    return [p.name for p in folder.iterdir() if p.name.startswith("scan") and (p / holding).exists()]


def _read_scan(root: Path, scan: str, protocol: str, *, official: bool) -> BenchScene:
    if official:
        folder = root / _RECTIFIED / scan
        names = [f"rect_{i + 1:03d}_{LIGHT}.png" for i in range(VIEWS)]
        calibration = next((root / p for p in _CALIBRATIONS if (root / p).is_dir()), root / _CALIBRATIONS[0])
        positions = [calibration / f"pos_{i + 1:03d}.txt" for i in range(VIEWS)]
        projections = [read_projection_text(path) for path in positions]
        sources = [str(path) for path in positions]
        mask_folders = [root / "idrmasks" / scan / "mask", root / "idrmasks" / scan]
    else:
        folder = root / scan / "image"
        names = list_photos(folder)[:VIEWS]
        path = next(
            (root / scan / n for n in _IDR_CAMERAS if (root / scan / n).is_file()), root / scan / _IDR_CAMERAS[0]
        )
        projections = read_idr_projections(path)[:VIEWS]
        sources = [f"{path}: world_mat_{i}" for i in range(VIEWS)]
        mask_folders = [root / scan / "mask"]
    if len(names) != VIEWS or len(projections) != VIEWS:
        raise InputError(
            f"{folder}: has {len(names)} photos and {len(projections)} cameras, the protocol is for {VIEWS}"
        )
    photos = {name: folder / name for name in names}
    return BenchScene(
        dataset="dtu",
        scene=scan,
        protocol=protocol,
        photos=photos,
        cameras=_cameras(folder, photos, projections, sources),
        splits={str(k): Split(_named(names, TRAIN[:k]), _named(names, TEST)) for k in TAKES},
        downscale=FACTOR,
        masks=_masks(mask_folders, names) if protocol == MASKED else {},
        surface=_surface(root, scan),
    )


def _cameras(
    folder: Path, photos: dict[str, Path], projections: Sequence[np.ndarray], sources: Sequence[str]
) -> Cameras:
    missing = next((path for path in photos.values() if not path.is_file()), None)
    if missing is not None:
        raise InputError(f"{missing}: missing; unpack the archive with the photos again")
    views = [decompose_projection(where, P) for where, P in zip(sources, projections, strict=True)]
    sizes = [read_image_size(path) for path in photos.values()]
    return shrunk(known_cameras(folder, photos, views, sizes), FACTOR)


def _named(names: Sequence[str], indices: Sequence[int]) -> tuple[str, ...]:
    return tuple(names[i] for i in indices)


def _masks(folders: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    """Object masks, named by the view's number; every test photo needs one, training photos may have one."""
    masks = {}
    for index, name in enumerate(names):
        candidates = [folder / f"{index:03d}.png" for folder in folders]
        found = next((path for path in candidates if path.is_file()), None)
        if found is not None:
            masks[name] = found
        elif index in TEST:
            raise InputError(f"{candidates[0]}: no mask of a test photo; get the masks, or take the protocol 'dtu'")
    return masks


def _surface(root: Path, scan: str) -> Path | None:
    """The structured-light scan of the surface, where the archive Points.zip was unpacked."""
    number = scan.removeprefix("scan")
    path = root / "Points" / "stl" / f"stl{int(number):03d}_total.ply" if number.isdecimal() else root
    return path if path.is_file() else None


LOADER = Loader(PROTOCOLS, read)
