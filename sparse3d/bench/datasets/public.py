"""Folders of our own format: `NAME/cameras.json`, `NAME/split.json`, photos and depth (docs/file-formats.md)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from sparse3d.bench.datasets.common import (
    Loader,
    at_photo_sizes,
    checked_label,
    choose_scenes,
    every_eighth_split,
    list_folders,
    shrunk,
)
from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import read_cameras_json
from sparse3d.io.json_files import read_json_object
from sparse3d.io.safe_paths import safe_join

PROTOCOL = "public"
LLFF = "public-llff-8"
"""LLFF's own protocol on those of its scenes that are among these sets."""
LLFF_WIDTH = 504
LLFF_VIEWS = (3, 6, 9)


def read(root: Path, scenes: Sequence[str] | None, protocol: str) -> list[BenchScene]:
    """Every folder with a cameras.json and a split.json, or those named; without a split there is nothing to measure."""
    found = [name for name in list_folders(root, holding="cameras.json") if (root / name / "split.json").is_file()]
    if protocol == LLFF:
        found = [name for name in found if name.startswith("llff_")]
        names = choose_scenes(root, found, scenes, "llff_NAME/cameras.json with llff_NAME/split.json")
        return [_as_llff(root / name, _read_scene(root / name, protocol)) for name in names]
    names = choose_scenes(root, found, scenes, "NAME/cameras.json with NAME/split.json")
    return [_read_scene(root / name, protocol) for name in names]


def _read_scene(folder: Path, protocol: str) -> BenchScene:
    path = folder / "cameras.json"
    cameras = read_cameras_json(path)
    names = [PurePosixPath(name).name for name in cameras.names]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: two photos in different folders share a name; rename one")
    photos = {name: folder / file for name, file in zip(names, cameras.names, strict=True)}
    return BenchScene(
        dataset="public",
        scene=folder.name,
        protocol=protocol,
        photos=photos,
        cameras=at_photo_sizes(cameras.replace(names=tuple(names)), photos),
        splits=read_splits(folder / "split.json", names),
        depths=_depths(folder, path, names),
    )


def _as_llff(folder: Path, scene: BenchScene) -> BenchScene:
    """The scene as `llff-8` has it: its split, its pinholes, and about its resolution by a whole number."""
    names, factor = sorted(scene.photos), max(1, round(scene.cameras.sizes[0][0] / LLFF_WIDTH))
    cameras = shrunk(scene.cameras, factor)
    return replace(
        scene,
        cameras=cameras.replace(distortion=torch.zeros_like(cameras.distortion)),
        splits=every_eighth_split(folder, names, LLFF_VIEWS),
        downscale=factor,
        depths={},
    )


def read_splits(path: Path, names: Sequence[str]) -> dict[str, Split]:
    """The splits of a split.json; `standard` with `train3`, `train6`, ... becomes `standard3`, `standard6`, ...

    Raises:
        InputError: the file is missing or malformed, names a photo that is not there, or one for both purposes.
    """
    splits: dict[str, Split] = {}
    for key, parts in read_json_object(path).items():
        if not isinstance(parts, dict):
            raise InputError(f"{path}: {key!r} is not an object with 'train' and 'test'")
        trains = {k: v for k, v in parts.items() if k.startswith("train")}
        if not trains:
            raise InputError(f"{path}: {key!r} has no list 'train'")
        for train, value in trains.items():
            name = checked_label(path, key + train.removeprefix("train"))
            splits[name] = _split(f"{path}: {name!r}", value, parts.get("test"), names)
    return splits


def _split(where: str, train: Any, test: Any, names: Sequence[str]) -> Split:
    for part in (train, test):
        if not isinstance(part, list) or not all(isinstance(x, str) for x in part):
            raise InputError(f"{where}: 'train' and 'test' must be lists of photo names")
    unknown = sorted({*train, *test} - set(names))
    if unknown:
        raise InputError(f"{where}: names photos that cameras.json does not have: {', '.join(unknown[:4])}")
    if len(set(train) | set(test)) < len(train) + len(test):
        raise InputError(f"{where}: names a photo twice; training and test photos must differ")
    return Split(tuple(train), tuple(test))


def _depths(folder: Path, path: Path, names: Sequence[str]) -> dict[str, Path]:
    """True depth files, which cameras.json names beside the photos."""
    depths = {}
    for name, entry in zip(names, read_json_object(path)["cameras"], strict=True):
        file = entry.get("depth")
        if file is None:
            continue
        if not isinstance(file, str):
            raise InputError(f"{path}: camera {name!r}: 'depth' is not a file name")
        depths[name] = safe_join(folder, file, path)
        if not depths[name].is_file():
            raise InputError(f"{depths[name]}: missing, though {path} names it")
    return depths


LOADER = Loader((PROTOCOL, LLFF), read)
