"""`coverage.json`: what a run's photos cover of the scene, and where the next ones should be taken."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.core.coverage import Coverage, NextPhoto, PhotoCoverage
from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import camera_entry, parse_camera
from sparse3d.io.json_files import read_json_object, write_json

VERSION = 1


def write_coverage(path: Path, coverage: Coverage) -> None:
    """Write a run's coverage. Format: docs/file-formats.md.

    Raises:
        InputError: the file cannot be written.
    """
    shares = dict(zip(("none", "one", "two", "more"), coverage.seen_shares, strict=True))
    document = {
        "version": VERSION,
        "axes": "opencv",
        "verdict": coverage.verdict,
        "seen_by": shares,
        "narrow": coverage.narrow_share,
        "step": coverage.step,
        "photos": {
            photo.name: {
                "seen_again": photo.seen_again,
                "angle_deg": photo.angle_deg,
                "expected_error": photo.expected_error,
            }
            for photo in coverage.photos
        },
        "next_photos": [
            {"text": place.text, "near": place.near, "gain": place.gain} | camera_entry(place.camera, 0)
            for place in coverage.next_photos
        ],
    }
    write_json(path, document)


def read_coverage(path: Path) -> Coverage:
    """Read a run's coverage.

    Raises:
        InputError: the file is missing, damaged, or of another version.
    """
    document = read_json_object(Path(path))
    if document.get("version") != VERSION or document.get("axes") != "opencv":
        raise InputError(f"{path}: is of version {document.get('version')!r}, this program reads {VERSION}; run again")
    try:
        return _parse(path, document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: is damaged ({error!r}); delete it and run again") from error


def _parse(path: Path, document: dict[str, Any]) -> Coverage:
    none, one, two, more = (float(document["seen_by"][key]) for key in ("none", "one", "two", "more"))
    return Coverage(
        verdict=tuple(map(str, document["verdict"])),
        seen_shares=(none, one, two, more),
        narrow_share=float(document["narrow"]),
        photos=tuple(
            PhotoCoverage(name, float(x["seen_again"]), float(x["angle_deg"]), float(x["expected_error"]))
            for name, x in document["photos"].items()
        ),
        next_photos=tuple(
            NextPhoto(
                _camera(f"{path}: next photo {i}", f"+{i}", entry),
                float(entry["gain"]),
                str(entry["near"]),
                str(entry["text"]),
            )
            for i, entry in enumerate(document["next_photos"], 1)
        ),
        step=float(document["step"]),
    )


def _camera(where: str, name: str, entry: dict[str, Any]) -> Cameras:
    size, K, distortion, pose = parse_camera(where, entry)
    if not (np.isfinite(K).all() and np.isfinite(pose).all()):
        raise ValueError(f"{where}: has no pose or no intrinsics")
    return Cameras.build(
        torch.tensor(pose)[None],
        torch.tensor(K)[None],
        [size],
        distortion=torch.tensor(distortion, dtype=torch.float64)[None],
        names=[name],
    )
