"""Does the check of every photo against the others find what is wrong, and nothing else?

usage: python benchmarks/outliers.py SETS_DIR [--sets NAME ...] [--splits sparse3 sparse6] [--cases CASE ...] [--out FILE]

Cases: `known` (true cameras), `estimated`, `turned` (each true camera in turn, turned by 15 degrees about a random axis) and
`foreign` (one photo's picture replaced by one of the next set, its camera kept). Depth maps of 384 pixels. Prints a line
a case and appends it to benchmarks/results/outliers.jsonl; what stands there is not measured again.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the package sets it

import cv2
import numpy as np
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.core.images import ImageSet
from sparse3d.io.known_cameras import read_known_cameras
from sparse3d.io.photos import load_photos
from sparse3d.priors.outliers.config import OutlierConfig
from sparse3d.priors.outliers.fit import fits
from sparse3d.priors.outliers.judge import odd_one_out, told
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.prior import StereoPrior

RESULTS = Path(__file__).parent / "results" / "outliers.jsonl"
CASES = ("known", "estimated", "turned", "foreign")
TURN_DEG = 15.0
DEPTH = DepthConfig(max_side=384, coarse_scale=0.5)
GIVEN, ESTIMATED = StereoPrior(CameraConfig(features="sift"), DEPTH), StereoPrior(CameraConfig(), DEPTH)


@dataclass(frozen=True)
class Case:
    """Photos of one set, and which of them is made wrong; `split` None takes all photos."""

    name: str
    split: str | None
    kind: str
    view: int | None = None

    @property
    def key(self) -> list:
        return [self.name, self.split, self.kind, self.view]


def cases(args: argparse.Namespace, names: list[str]) -> Iterator[Case]:
    for name in names:
        if not (args.root / name / "cameras.json").is_file():
            if "estimated" in args.cases:
                yield Case(name, None, "estimated")
            continue
        for split in args.splits:
            count = len(_split(args.root, name, split) or ())
            for kind in args.cases:
                views = range(count) if kind == "turned" else [names.index(name) % max(count, 1)]
                yield from (Case(name, split, kind, v if kind in ("turned", "foreign") else None) for v in views)


def measure(args: argparse.Namespace, case: Case, names: list[str]) -> GeometryPrior:
    folder = args.root / case.name
    images = load_photos(folder / "images", names=_split(args.root, case.name, case.split))
    known = None if case.kind == "estimated" else read_known_cameras(folder / "cameras.json", images)
    if case.kind == "turned" and known is not None and case.view is not None:
        known = turned(known, case.view)
    if case.kind == "foreign" and case.view is not None:
        other = names[(names.index(case.name) + 1) % len(names)]
        images = foreign(images, case.view, load_photos(args.root / other / "images"))
    source = ESTIMATED if known is None else GIVEN
    return source.estimate_geometry(images, source.estimate_cameras(images, known, seed=0))


def turned(known: Cameras, view: int) -> Cameras:
    axis = np.random.default_rng(view).normal(size=3)
    omega = torch.from_numpy(axis / np.linalg.norm(axis) * np.radians(TURN_DEG))
    poses = known.cam_from_world.clone()
    poses[view, :3] = se3.so3_exp(omega) @ poses[view, :3]
    return known.replace(cam_from_world=poses)


def foreign(images: ImageSet, view: int, others: ImageSet) -> ImageSet:
    """The photos, one of which shows what the middle one of others shows."""
    strange = others.read_pixels(others.photos[len(others) // 2])

    def read(photo):
        if photo.name == images.names[view]:
            return cv2.resize(strange, photo.size, interpolation=cv2.INTER_AREA)
        return images.read_pixels(photo)

    return dataclasses.replace(images, read_pixels=read)


def record(case: Case, prior: GeometryPrior) -> dict:
    """What the check says."""
    found, config = fits(prior), OutlierConfig()
    return {
        "case": case.key,
        "side": max(max(size) for size in prior.cameras.sizes),
        "placed": list(prior.cameras.names),
        "agreement": [round(fit.agreement, 3) if told(fit, config) else None for fit in found],
        "pixels": [fit.pixels for fit in found],
        "odd": odd_one_out(found, prior.points, config),
    }


def _split(root: Path, name: str, split: str | None) -> list[str] | None:
    return None if split is None else json.loads((root / name / "split.json").read_text())[split]["train"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--splits", nargs="+", default=["sparse3", "sparse6"])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    names = sorted(path.parent.name for path in args.root.glob("*/images"))
    lines = args.out.read_text().splitlines() if args.out.exists() else []
    done = [json.loads(line)["case"] for line in lines]
    for case in cases(args, names):
        if case.name not in (args.sets or names) or case.key in done:
            continue
        entry = record(case, measure(args, case, names))
        print(json.dumps(entry), flush=True)
        with args.out.open("a") as file:
            file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
