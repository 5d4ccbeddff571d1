"""Figures of the literature, which stand beside ours where they were measured in the same way, and nowhere else."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sparse3d.bench.machine import CHECKOUT
from sparse3d.bench.materials import Poses
from sparse3d.core.errors import InputError
from sparse3d.io.config_yaml import load_delta

VERSION = 1
FIGURES = ("psnr", "ssim", "lpips", "ate", "seconds")
"""What a paper may report; one of the first four must be there."""
RANGES = {"psnr": (0, 100), "ssim": (-1, 1), "lpips": (0, 2), "ate": (0, 100), "seconds": (0, 1e7)}

BESIDE = {
    "public-llff-8": (
        "llff-8",
        "These are means over all eight scenes at 504x378; measured here are those two that are among the public sets, one of "
        "them at 512x384. Single scenes differ by several dB: the figures tell the range, not the rank.",
    )
}
"""Protocols that follow another one but for what the words say: its figures may stand beside theirs with these words."""


@dataclass(frozen=True)
class Published:
    """One line of a paper's table: means over all scenes of its data set.

    Attributes:
        method: its name in the paper.
        protocol: the heading in docs/protocols.md; figures compare only within one.
        poses, views: whether it was given the cameras, and how many photos.
        psnr, ssim, lpips, ate: in dB; ATE over the cameras' extent; None where the paper has none.
        seconds: a scene, on the machine that the note names.
        note: what a reader must know to compare.
    """

    method: str
    protocol: str
    poses: Poses
    views: int
    psnr: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    ate: float | None = None
    seconds: float | None = None
    note: str = ""


def published_file() -> Path | None:
    """The checkout's own file; None where the package is installed without its source."""
    path = CHECKOUT / "benchmarks" / "published.yaml"
    return path if path.is_file() else None


def read_published(path: Path) -> tuple[Published, ...]:
    """Read and check a file of published figures.

    Raises:
        InputError: no such file, or an entry has an unknown name, a value of a wrong type or size, or no figure; the message
            names the entry.
    """
    document = load_delta(path)
    if document.get("version") != VERSION or not isinstance(document.get("figures"), list) or len(document) != 2:
        raise InputError(f"{path}: must hold 'version: {VERSION}' and a list 'figures', and nothing else")
    return tuple(_checked(f"{path}: figure {i}", entry) for i, entry in enumerate(document["figures"], start=1))


def matching(published: Sequence[Published], protocol: str, views: int, poses: Poses) -> list[Published]:
    """Those that may stand beside figures of ours, best PSNR first."""
    followed, _ = BESIDE.get(protocol, (protocol, ""))
    found = [p for p in published if (p.protocol, p.views, p.poses) == (followed, views, poses)]
    return sorted(found, key=lambda p: (-(p.psnr or 0), p.method))


def caveat(protocol: str) -> str:
    """What a reader must know of published figures that stand beside those of a protocol; mostly nothing."""
    return BESIDE.get(protocol, (protocol, ""))[1]


def _checked(where: str, entry: Any) -> Published:
    known = {field.name for field in fields(Published)}
    if not isinstance(entry, dict) or not set(entry) <= known:
        strange = sorted(set(entry) - known) if isinstance(entry, dict) else entry
        raise InputError(f"{where}: {strange} is not known; there are {', '.join(sorted(known))}")
    for name in ("method", "protocol"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise InputError(f"{where}: {name} is {entry.get(name)!r}, expected a text")
    if entry.get("poses") not in typing.get_args(Poses):
        raise InputError(f"{where}: poses is {entry.get('poses')!r}, expected posed or unposed")
    if type(entry.get("views")) is not int or entry["views"] < 1:
        raise InputError(f"{where}: views is {entry.get('views')!r}, expected a whole number of photos")
    if not isinstance(entry.get("note", ""), str):
        raise InputError(f"{where}: note is {entry['note']!r}, expected a text")
    for name in FIGURES:
        value, (low, high) = entry.get(name), RANGES[name]
        if value is not None and (type(value) not in (int, float) or not low <= value <= high):
            raise InputError(f"{where}: {name} is {value!r}, expected a number from {low} to {high:g}")
    if all(entry.get(name) is None for name in FIGURES[:-1]):
        raise InputError(f"{where}: has none of {', '.join(FIGURES[:-1])}")
    numbers = {name: float(entry[name]) for name in FIGURES if entry.get(name) is not None}
    return Published(**{**entry, **numbers})
