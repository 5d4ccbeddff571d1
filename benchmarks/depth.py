"""Dense depth of the built-in prior with given cameras, against true depth: accuracy, coverage and calibration.

usage: python benchmarks/depth.py [--sets SETS_DIR] [--cases NAME...] [--out FILE] [--pictures DIR]

Cases: the motorcycle pair (disparity at 741x500), the courtyard (rendered, exact) and, of SETS_DIR, the 7-Scenes kitchen
(Kinect depth, itself 1 % noisy) with 3, 6 and 12 photos. A pixel is confident from 0.5 on. Three criteria of a right depth
are told apart: `right` is within 1 % of the true one; `right_2sigma` is within 1 % or twice the uncertainty of triangulation,
whichever is larger; `right_noise` is the same widened by one standard deviation of the truth's own noise, where it has any. Prints
a line a case and writes all, with the reliability diagram and the sparsification curve, to benchmarks/results/depth.json.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the package sets it

import cv2
import numpy as np
from PIL import Image

from sparse3d.bench.machine import machine
from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.eval.depth_metrics import sparsification
from sparse3d.io.cameras_json import read_cameras_json, true_depth_files
from sparse3d.io.photos import load_photos
from sparse3d.io.scenes import materialise_scene
from sparse3d.priors.fusion import posed_images
from sparse3d.priors.stereo.confidence import MATCHING_PX
from sparse3d.priors.stereo.consistency import AgreementConfig, agreement
from sparse3d.priors.stereo.prior import StereoPrior

RESULTS = Path(__file__).parent / "results" / "depth.json"
CONFIDENT = 0.5
RIGHT_RELATIVE = 0.01
"""A depth within this share of the true one is right (the Kinect's own noise is about as large)."""
KINECT_NOISE = 0.01
"""Standard deviation of the Kinect's depth relative to it."""
BINS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Case:
    """Photos with true cameras and depth.

    Attributes:
        root, photos: the photos in root/images; true depth in whole millimetres, `depth` beside each camera in cameras.json.
        noise: standard deviation of the true depth relative to it.
    """

    name: str
    root: Path
    photos: tuple[str, ...]
    noise: float = 0.0


def cases(args: argparse.Namespace, folder: Path) -> Iterator[Case]:
    for scene in ("motorcycle", "courtyard"):
        root = materialise_scene(scene, folder / scene)
        root = folder / scene
        splits = json.loads((root / "split.json").read_text())
        for split, parts in splits.items():
            yield Case(f"{scene} {split}", root, tuple(parts["train"]))
    if args.sets is not None:
        root = args.sets / "rgbd_7scenes_kitchen"
        splits = json.loads((root / "split.json").read_text())
        for split in ("sparse3", "sparse6", "sparse12"):
            yield Case(f"kitchen {split}", root, tuple(splits[split]["train"]), KINECT_NOISE)


def given_cameras(case: Case) -> tuple[Cameras, dict[str, Path]]:
    """The true cameras of the case's photos, and where their true depth is."""
    cameras = read_cameras_json(case.root / "cameras.json")
    depth = {Path(name).name: file for name, file in true_depth_files(case.root / "cameras.json").items()}
    at = {Path(name).name: i for i, name in enumerate(cameras.names)}
    return cameras.select([at[n] for n in case.photos]).replace(names=case.photos), depth


def run_case(case: Case, pictures: Path | None) -> dict:
    images = load_photos(case.root / "images", names=case.photos)
    known, depth_files = given_cameras(case)
    prior = StereoPrior()
    cameras = prior.estimate_cameras(images, known, seed=0)
    middle, used = time.perf_counter(), time.process_time()
    geometry = prior.estimate_geometry(images, cameras)
    seconds = time.perf_counter() - middle
    result = {"case": case.name, "photos": len(images), "seconds": round(seconds, 1)}
    result["processor_seconds"] = round(time.process_time() - used, 1)
    return result | figures(case, geometry, depth_files, pictures)


def figures(case: Case, geometry: GeometryPrior, depth_files: dict[str, Path], pictures: Path | None) -> dict:
    found, true, sure, motion, disparity_error = [], [], [], [], []
    motions = motions_px(geometry)
    for i, name in enumerate(geometry.cameras.names):
        if name not in depth_files:
            continue
        truth = np.asarray(Image.open(depth_files[name])).astype(np.float64) / 1000
        view = geometry.depths[i]
        depth, confidence = view.depth.double().numpy(), view.confidence.double().numpy()
        if pictures is not None:
            save_pictures(pictures / f"{case.name.replace(' ', '-')}-{Path(name).stem}.png", geometry, i)
        # At the truth's pixels, so that nothing of it is averaged over an edge.
        size = (truth.shape[1], truth.shape[0])
        maps = (depth, confidence, motions[i])
        depth, confidence, moved = (cv2.resize(a, size, interpolation=cv2.INTER_NEAREST) for a in maps)
        use = truth > 0
        found.append(depth[use])
        true.append(truth[use])
        sure.append(confidence[use])
        motion.append(moved[use])
        if case.name.startswith("motorcycle"):
            disparity_error.append(disparity_errors(geometry, i, size, depth[use], truth[use]))
    d, t, c, m = (np.concatenate(x) for x in (found, true, sure, motion))
    error = np.where(d > 0, np.abs(d - t) / t, np.inf)
    confident = c > CONFIDENT
    right = criteria(error, m, case.noise)
    result = {
        "coverage": round(float(confident.mean()), 4),
        "median_error_confident": round(float(np.median(error[confident])), 5) if confident.any() else None,
        "right_of_confident": {k: round(float(r[confident].mean()), 4) for k, r in right.items()}
        if confident.any()
        else None,
        "median_error": round(float(np.median(error)), 5),
        "within_5_percent": round(float((error < 0.05).mean()), 4),
        "reliability": reliability(c, right),
        "sparsification": sparsified(c, error),
    }
    result["calibration_error"] = {
        k: round(sum(b["share"] * abs(b["confidence"] - b[k]) for b in result["reliability"]), 4) for k in right
    }
    if disparity_error:
        off = np.concatenate(disparity_error)
        result["bad_2px"] = round(float((off > 2).mean()), 4)
        result["bad_2px_confident"] = round(float((off[confident] > 2).mean()), 4)
    return result


def disparity_errors(
    geometry: GeometryPrior, i: int, size: tuple[int, int], depth: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    """Errors in pixels of disparity at the truth's resolution, for a rectified pair."""
    K = geometry.cameras.K[i].double().numpy()
    focal = K[0, 0] * size[0] / geometry.cameras.sizes[i][0]
    poses = geometry.cameras.cam_from_world.double().numpy()
    centres = -np.einsum("vji,vj->vi", poses[:, :3, :3], poses[:, :3, 3])
    product = focal * float(np.linalg.norm(centres[0] - centres[1]))
    return np.abs(product / np.maximum(depth, 1e-9) - product / truth)


def motions_px(geometry: GeometryPrior) -> list[np.ndarray]:
    """Pixels that a pixel moves in the best of the agreeing views, a relative change of its depth; 0 where none agrees."""
    views = posed_images(geometry)
    inverses = [np.where(d.depth > 0, 1 / d.depth.clamp_min(1e-12), 0).astype(np.float32) for d in geometry.depths]
    ones = [np.ones_like(inverse) for inverse in inverses]
    return [agreement(i, views, inverses, ones, AgreementConfig()).motion_px for i in range(len(views))]


def criteria(error: np.ndarray, motion: np.ndarray, noise: float) -> dict[str, np.ndarray]:
    """Which depths are right, by each criterion."""
    uncertainty = np.where(motion > 0, MATCHING_PX / np.maximum(motion, 1e-6), 0)
    tolerance = np.maximum(RIGHT_RELATIVE, 2 * uncertainty)
    right = {"right": error < RIGHT_RELATIVE, "right_2sigma": error < tolerance}
    return right | ({"right_noise": error < np.hypot(tolerance, noise)} if noise > 0 else {})


def reliability(confidence: np.ndarray, right: dict[str, np.ndarray]) -> list[dict]:
    """Per bin of confidence: its mean, the share of right pixels by each criterion, and the share of all pixels in it."""
    rows = []
    for low, high in itertools.pairwise(BINS):
        here = (confidence >= low) & ((confidence < high) | (high == 1))
        if here.any():
            rows.append(
                {
                    "confidence": round(float(confidence[here].mean()), 3),
                    **{k: round(float(r[here].mean()), 3) for k, r in right.items()},
                    "share": round(float(here.mean()), 4),
                }
            )
    return rows


def sparsified(confidence: np.ndarray, error: np.ndarray) -> dict:
    """Mean error (capped at 1) of the most confident shares of the pixels, beside the best possible order and a random one."""
    found = sparsification(confidence, error)
    return {
        "kept": list(found.kept),
        "by_confidence": [round(x, 5) for x in found.by_confidence],
        "oracle": [round(x, 5) for x in found.oracle],
        "ause": round(found.ause, 5),
        "ause_of_random": round(found.ause_of_random, 4),
    }


def save_pictures(path: Path, geometry: GeometryPrior, i: int) -> None:
    """Photo, inverse depth, and inverse depth of the confident pixels alone, side by side."""
    view = geometry.depths[i]
    depth, confidence = view.depth.numpy(), view.confidence.numpy()
    inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-9), 0)
    low, high = np.percentile(inverse[depth > 0], [1, 99])
    grey = (np.clip((inverse - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    shown = cv2.applyColorMap(grey, cv2.COLORMAP_TURBO)[..., ::-1]
    photo = (geometry.images[i].numpy() * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([photo, shown, np.where(confidence[..., None] > CONFIDENT, shown, 0)], 1)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path)
    parser.add_argument("--cases", nargs="*", help="only cases whose name holds one of these")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(args, Path(folder)):
            if args.cases and not any(word in case.name for word in args.cases):
                continue
            result = run_case(case, args.pictures)
            results.append(result)
            print(json.dumps({k: v for k, v in result.items() if k not in ("reliability", "sparsification")}))
            print("   ", [tuple(b.values()) for b in result["reliability"]])
            print(
                "    AUSE",
                result["sparsification"]["ause"],
                "of random",
                result["sparsification"]["ause_of_random"],
                flush=True,
            )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine(), "cases": results}, indent=1) + "\n")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
