"""RealEstate10K clips (Zhou et al. 2018) as a benchmark of poses, by PoseDiffusion's rule."""

import logging
from collections.abc import Sequence
from pathlib import Path

from sparse3d.bench.datasets.common import POSE_FRAMES, Loader, choose_scenes, known_cameras, random_frames
from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.errors import InputError
from sparse3d.io.image_files import read_image_size
from sparse3d.io.re10k import ClipFrame, read_re10k

logger = logging.getLogger(__name__)

PROTOCOL = "re10k-poses"
CAMERAS, FRAMES = "test", "frames/test"
SUFFIXES = (".png", ".jpg")


def read(root: Path, scenes: Sequence[str] | None, protocol: str) -> list[BenchScene]:
    """Every clip of the test part that has ten frames on disk, or those named."""
    cameras, frames = root / CAMERAS, root / FRAMES
    clips = [p.stem for p in cameras.glob("*.txt")] if cameras.is_dir() else []
    found = [clip for clip in clips if (frames / clip).is_dir()]
    names = choose_scenes(root, found, scenes, f"{CAMERAS}/CLIP.txt with {FRAMES}/CLIP/TIMESTAMP.png")
    read_clips = [_read_clip(cameras / f"{name}.txt", frames / name, protocol) for name in names]
    short = [name for name, scene in zip(names, read_clips, strict=True) if scene is None]
    if short and scenes is not None:
        raise InputError(f"{frames / short[0]}: fewer than {POSE_FRAMES} frames of {cameras / short[0]}.txt are there")
    for name in short:
        logger.warning("%s: left out: fewer than %d of its frames are there", frames / name, POSE_FRAMES)
    return [scene for scene in read_clips if scene is not None]


def _read_clip(path: Path, folder: Path, protocol: str) -> BenchScene | None:
    """None where fewer than ten frames are on disk: many videos are gone."""
    found = [(frame, file) for frame in read_re10k(path) if (file := _picture(folder, frame)) is not None]
    if len(found) < POSE_FRAMES:
        return None
    chosen = [found[i] for i in random_frames(len(found))]
    photos = {file.name: file for _, file in chosen}
    sizes = [read_image_size(file) for file in photos.values()]
    views = [(frame.K(size), frame.cam_from_world) for (frame, _), size in zip(chosen, sizes, strict=True)]
    return BenchScene(
        dataset="re10k",
        scene=path.stem,
        protocol=protocol,
        photos=photos,
        cameras=known_cameras(path, photos, views, sizes),
        splits={str(POSE_FRAMES): Split(tuple(photos), ())},
    )


def _picture(folder: Path, frame: ClipFrame) -> Path | None:
    candidates = (folder / f"{frame.timestamp}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


LOADER = Loader((PROTOCOL,), read)
