"""Cameras from photos alone: the built-in prior's registration, poses and focal length on photo sets with true cameras.

usage: python benchmarks/cameras.py SETS_DIR [NAME...] [--splits sparse3 sparse6 sparse12 train3] [--seeds 0 1 2]
           [--methods sparse3d pycolmap "xfeat chain"] [--features auto] [--jobs 2] [--add] [--out FILE]

SETS_DIR/NAME holds images/, cameras.json and split.json; `train3` is the training part of the literature's standard split.
Prints a line a run and medians over runs, and writes them, with the machine and the commit, to benchmarks/results/cameras.json.
Peers: plain pycolmap (SIFT, exhaustive, incremental), and the chain XFeat + LighterGlue + incremental mapper.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the package sets it

import numpy as np
import torch

from sparse3d.bench.machine import machine
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.eval.pose_metrics import focal_errors, pose_metrics
from sparse3d.io.cameras_json import read_cameras_json
from sparse3d.io.photos import load_photos
from sparse3d.priors.stereo.cameras import estimate_cameras
from sparse3d.priors.stereo.config import CameraConfig

SPLITS = ["sparse3", "sparse6", "sparse12", "train3"]
RESULTS = Path(__file__).parent / "results" / "cameras.json"


@dataclass(frozen=True)
class Case:
    """One run: these photos of a set, with one seed."""

    root: Path
    split: str
    names: tuple[str, ...]
    seed: int
    method: str
    features: str


def cases(args: argparse.Namespace) -> Iterator[Case]:
    roots = [args.sets / name for name in args.names] or sorted(p.parent for p in args.sets.glob("*/split.json"))
    for root in roots:
        splits = json.loads((root / "split.json").read_text())
        for split in args.splits:
            names = splits.get(split, {}).get("train") or splits.get("standard", {}).get(split)
            for method in args.methods if names else ():
                for seed in args.seeds:
                    yield Case(root, split, tuple(names), seed, method, args.features)


def run_case(case: Case) -> dict:
    torch.set_num_threads(1)
    images = load_photos(case.root / "images", names=case.names)
    result = {
        "set": case.root.name,
        "split": case.split,
        "photos": len(images),
        "seed": case.seed,
        "method": case.method,
    }
    started = time.perf_counter()
    try:
        found = find_cameras(case, images)
    except InputError as error:
        return result | {"placed": 0, "error": str(error)}
    result["seconds"] = round(time.perf_counter() - started, 1)
    cameras, warnings = found
    return result | {"placed": len(cameras)} | measure(case.root, cameras) | {"warnings": list(warnings)}


def find_cameras(case: Case, images) -> tuple[Cameras, tuple[str, ...]]:
    if case.method == "sparse3d":
        found = estimate_cameras(images, None, replace(CameraConfig(), features=case.features), seed=case.seed)
        return found.cameras, found.warnings
    from sparse3d.bench.methods.colmap import map_with_pycolmap

    return map_with_pycolmap(images, "sift" if case.method == "pycolmap" else "xfeat", seed=case.seed), ()


def measure(root: Path, cameras: Cameras) -> dict:
    """Errors against the set's true cameras; nothing where fewer than two views are there to compare."""
    if len(cameras) < 2:
        return {}
    true = read_cameras_json(root / "cameras.json")
    at = {Path(name).name: i for i, name in enumerate(true.names)}
    true = true.select([at[name] for name in cameras.names])
    try:
        poses, _ = pose_metrics(cameras.cam_from_world.double(), true.cam_from_world.double(), missing=0)
    except ValueError as error:
        return {"error": str(error)}
    focal = focal_errors(cameras.K, cameras.sizes, true.K, true.sizes)
    return {
        "rotation_deg": round(float(np.median(poses.rotation_deg)), 3),
        "rotation_deg_max": round(max(poses.rotation_deg), 3),
        "ate": round(poses.ate_relative, 4),
        "focal_error": round(float(np.median(focal)), 4),
    }


def identity(r: dict) -> tuple:
    return r["set"], r["split"], r["method"], r["seed"]


def describe(r: dict) -> str:
    line = f"{r['set']:22} {r['split']:9} {r['method']:11} seed {r['seed']}  {r['placed']:2} of {r['photos']:2}"
    if "rotation_deg" in r:
        line += f"  {r['rotation_deg']:7.3f} ({r['rotation_deg_max']:7.3f}) deg  ATE {r['ate']:.4f}"
        line += f"  focal {100 * r['focal_error']:+6.1f} %"
    return line + f"  {r.get('seconds', 0):5.1f} s  {r.get('error', '')}"


def summary(results: list[dict], split: str, method: str) -> dict:
    """Medians over sets of each set's median over seeds."""
    chosen = [r for r in results if r["split"] == split and r["method"] == method]
    sets = sorted({r["set"] for r in chosen})
    runs = [[r for r in chosen if r["set"] == s] for s in sets]
    figures: dict = {"split": split, "method": method, "sets": len(sets)}
    figures["all_placed"] = sum(all(r["placed"] == r["photos"] for r in each) for each in runs)
    for key in ("rotation_deg", "ate", "focal_error"):
        values = [np.median([abs(r.get(key, np.inf)) for r in each]) for each in runs]
        for name, value in ((key, np.median(values)), (f"{key}_worst", np.max(values))):
            figures[name] = round(float(value), 4) if np.isfinite(value) else None  # a set without cameras
    figures["seconds"] = round(float(np.median([r["seconds"] for r in chosen if "seconds" in r] or [np.nan])), 1)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--splits", nargs="+", default=SPLITS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--features", default="auto")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--methods", nargs="+", default=["sparse3d"], choices=["sparse3d", "pycolmap", "xfeat chain"])
    parser.add_argument("--add", action="store_true", help="keep the file's runs that this call does not repeat")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    results = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for result in pool.map(run_case, cases(args)):
            results.append(result)
            print(describe(result), flush=True)
    if args.add and args.out.exists():
        done = {identity(r) for r in results}
        results += [r for r in json.loads(args.out.read_text())["runs"] if identity(r) not in done]
    methods = list(dict.fromkeys(r["method"] for r in results))
    found = {(r["split"], r["method"]) for r in results}
    tables = [summary(results, s, m) for s in SPLITS for m in methods if (s, m) in found]
    for table in tables:
        print(json.dumps(table))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine(), "summary": tables, "runs": results}, indent=1) + "\n")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
