"""CO3D v2 sequences (Reizenstein et al. 2021) as a benchmark of poses, by the rule of RelPose++ and PoseDiffusion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparse3d.bench.datasets.common import (
    POSE_FRAMES,
    Loader,
    at_photo_sizes,
    checked_label,
    choose_scenes,
    known_cameras,
    list_folders,
    random_frames,
)
from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.errors import InputError
from sparse3d.io.co3d import read_annotations, read_viewpoint
from sparse3d.io.json_files import read_json_object
from sparse3d.io.safe_paths import safe_join

PROTOCOL = "co3d-poses"
FRAME_FILE, SEQUENCE_FILE = "frame_annotations.jgz", "sequence_annotations.jgz"
SET_LIST = "set_lists/set_lists_fewview_dev.json"
PART = "test"
MIN_QUALITY = 0.5
"""Sequences whose cameras the data set's authors score lower are left out (RelPose++)."""
MIN_FRAMES = 50
MAX_TRANSLATION = 1e5
"""Sequences with a camera beyond it are failures of the structure from motion behind the truth."""

Entry = dict[str, Any]


def read(root: Path, scenes: Sequence[str] | None, protocol: str) -> list[BenchScene]:
    """Every usable sequence ("apple-110_13051_23361") of the categories that are there, or those named."""
    categories = list_folders(root, holding=FRAME_FILE)
    if scenes is not None:
        categories = [c for c in categories if any(name.startswith(f"{c}-") for name in scenes)]
    sequences: dict[str, tuple[Path, list[Entry]]] = {}
    for category in categories:
        path = root / category / FRAME_FILE
        sequences |= {f"{category}-{name}": (path, frames) for name, frames in _usable(root / category).items()}
    names = choose_scenes(root, sequences, scenes, f"CATEGORY/{FRAME_FILE}, usable sequences of {SET_LIST}")
    return [_read_sequence(root, name, *sequences[name], protocol) for name in names]


def _usable(category: Path) -> dict[str, list[Entry]]:
    """The frames of the test sequences that the protocol takes, in the order of the set list."""
    path = category / SET_LIST
    listed = read_json_object(path).get(PART)
    if not isinstance(listed, list) or not all(isinstance(e, list) and len(e) >= 2 for e in listed):
        raise InputError(f"{path}: has no list {PART!r} of [sequence, frame number, file]")
    good = {
        entry.get("sequence_name")
        for entry in read_annotations(category / SEQUENCE_FILE)
        if (entry.get("viewpoint_quality_score") or 0) > MIN_QUALITY
    }
    frames = {(e.get("sequence_name"), e.get("frame_number")): e for e in read_annotations(category / FRAME_FILE)}
    sequences: dict[str, list[Entry]] = {}
    for name, number, *_ in listed:
        if name in good:
            if (name, number) not in frames:
                raise InputError(f"{category / FRAME_FILE}: has no frame {number} of {name}, which {path} lists")
            sequences.setdefault(checked_label(path, name), []).append(frames[name, number])
    return {name: found for name, found in sequences.items() if len(found) >= MIN_FRAMES and all(map(_is_sane, found))}


def _is_sane(entry: Entry) -> bool:
    try:
        return sum(entry["viewpoint"]["T"]) <= MAX_TRANSLATION
    except (KeyError, TypeError):
        return True  # read_viewpoint says what is wrong, should the frame be chosen


def _read_sequence(root: Path, name: str, source: Path, entries: list[Entry], protocol: str) -> BenchScene:
    chosen = [entries[i] for i in random_frames(len(entries))]
    photos, parts = {}, []
    for entry in chosen:
        parts.append(read_viewpoint(f"{source}: frame {entry['frame_number']} of {name}", entry))
        file = entry["image"].get("path")
        path = safe_join(root, file if isinstance(file, str) else "", source)
        photos[path.name] = path
    views, sizes = [(K, pose) for K, pose, _ in parts], [size for _, _, size in parts]
    return BenchScene(
        dataset="co3d",
        scene=name,
        protocol=protocol,
        photos=photos,
        cameras=at_photo_sizes(known_cameras(source, photos, views, sizes), photos),
        splits={str(POSE_FRAMES): Split(tuple(photos), ())},
    )


LOADER = Loader((PROTOCOL,), read)
