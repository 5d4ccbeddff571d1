"""Stages that are kept: each result stands in the run folder under a key made from its inputs and its settings."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.images import ImageSet
from sparse3d.io.arrays import load_arrays, save_arrays
from sparse3d.io.atomic import make_folder

logger = logging.getLogger(__name__)

FORMAT = 2
"""Part of every key: raised when a stage's result changes its meaning."""

T = TypeVar("T")


def fingerprint(*parts: object) -> str:
    """A short key of plain values, strings and keys of earlier stages."""
    text = json.dumps([FORMAT, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def photos_key(images: ImageSet) -> str:
    """Key of the photos' content, names and masks."""
    return fingerprint([(p.name, p.sha256, str(p.mask_path and p.mask_path.stat().st_mtime_ns)) for p in images.photos])


def cameras_key(cameras: Cameras | None) -> str:
    """Key of known cameras."""
    if cameras is None:
        return "none"
    arrays = [cameras.cam_from_world, cameras.K, cameras.distortion]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(a.numpy()).tobytes() for a in arrays)).hexdigest()
    return fingerprint(
        digest, cameras.names, cameras.sizes, cameras.groups, cameras.pose_known, cameras.intrinsics_known
    )


def kept(
    path: Path, make: Callable[[], T], load: Callable[[Path], T], save: Callable[[Path, T], None]
) -> tuple[T, bool]:
    """The stage's result and whether it was found done; a damaged file is made again, and said so."""
    if path.exists():
        try:
            return load(path), True
        except InputError as error:
            logger.warning("%s: is damaged: this stage is done again", path)
            logger.info("%s", error)
    result = make()
    make_folder(path.parent)
    for stale in path.parent.glob(f"{path.name.rsplit('-', 1)[0]}-*"):
        stale.unlink()
    save(path, result)
    return result, False


class FileCheckpoints:
    """The optimiser's state in one file (`optim.progress.CheckpointStore`)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[str, np.ndarray] | None:
        if not self.path.exists():
            return None
        try:
            arrays, _ = load_arrays(self.path)
        except InputError as error:
            logger.warning("%s: is damaged: optimising from the start", self.path)
            logger.info("%s", error)
            return None
        return arrays

    def save(self, arrays: dict[str, np.ndarray]) -> None:
        make_folder(self.path.parent)
        for stale in self.path.parent.glob("optimise-*"):
            if stale != self.path:
                stale.unlink()
        save_arrays(self.path, arrays, {"stage": "optimise"})
