"""Fit the weights of `sparse3d/priors/stereo/confidence.py` to sets with true depth, and test them on scenes left out.

usage: python benchmarks/fit_confidence.py --sets SETS_DIR [--cases NAME...]

The cases are those of benchmarks/depth.py; scenes count alike, however many pixels or cases they have. Every weight is
held to the sign that makes sense. Prints the weights, and the reliability of each case by weights that were fitted to all
scenes and by weights that were fitted without its own. It needs scipy.
"""

import argparse
import itertools
import tempfile
from pathlib import Path

import cv2
import numpy as np
from depth import cases, criteria, given_cameras
from PIL import Image
from scipy.optimize import minimize

from sparse3d.io.photos import load_photos
from sparse3d.priors.stereo import confidence, reconcile
from sparse3d.priors.stereo.prior import StereoPrior

CASES = ("motorcycle pair", "courtyard sparse3", "kitchen sparse3", "kitchen sparse6", "kitchen sparse12")
SIGNS = {"cost": -1, "error": -1, "precision": 0, "violations": -1, "company": 1}
PIXELS = 60_000
"""Of each case, drawn at random."""
BINS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


def observe(case) -> tuple[np.ndarray, np.ndarray]:
    """Features (with a one) of the pixels that a second view confirms, and whether their depth is right."""
    seen = []
    original = confidence.confidence_of

    def recording(cost, found):
        seen.append((found.support, found.mean_inverse, found.motion_px, confidence.features(cost, found)))
        return original(cost, found)

    reconcile.confidence_of = recording
    images = load_photos(case.root / "images", names=case.photos)
    known, files = given_cameras(case)
    prior = StereoPrior()
    geometry = prior.estimate_geometry(images, prior.estimate_cameras(images, known, seed=0))
    reconcile.confidence_of = original
    rows, truths = [], []
    # Views are compared on several threads: the last one of each size and content is told by its depth.
    for name, found in zip(geometry.cameras.names, geometry.depths, strict=True):
        if name not in files:
            continue
        support, inverse, motion, values = closest(seen, found)
        size = (support.shape[1], support.shape[0])
        truth = cv2.resize(
            np.asarray(Image.open(files[name])).astype(np.float32) / 1000, size, interpolation=cv2.INTER_NEAREST
        )
        use = (truth > 0) & (support > 0)
        error = np.abs(1 / np.maximum(inverse[use], 1e-9) / truth[use] - 1)
        rows.append(np.stack([values[key][use] for key in SIGNS] + [np.ones(use.sum())], 1))
        truths.append(list(criteria(error, motion[use], case.noise).values())[-1])
    X, y = np.concatenate(rows), np.concatenate(truths)
    drawn = np.random.default_rng(0).permutation(len(X))[:PIXELS]
    return X[drawn], y[drawn]


def closest(seen: list, found) -> tuple:
    """What was recorded last of the view with this result."""
    inverse = 1 / found.depth.clamp_min(1e-12).numpy()
    kept = found.support.numpy() > 0

    def distance(record: tuple) -> float:
        return float(np.abs(record[1] - inverse)[kept].mean()) if record[1].shape == inverse.shape else np.inf

    return min(reversed(seen), key=distance)


def fit(data: dict[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    scenes = [name.split()[0] for name in data]
    weight = np.concatenate(
        [np.full(len(y), 1 / len(y) / scenes.count(s)) for s, (_, y) in zip(scenes, data.values(), strict=True)]
    )
    X, y = (np.concatenate(parts) for parts in zip(*data.values(), strict=True))

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        z = X @ b
        gradient = X.T @ (weight * (1 / (1 + np.exp(-z)) - y)) + np.append(2e-3 * b[:-1], 0)
        return float(weight @ (np.logaddexp(0, z) - y * z) + 1e-3 * (b[:-1] ** 2).sum()), gradient

    bounds = [{1: (0, None), -1: (None, 0), 0: (None, None)}[s] for s in (*SIGNS.values(), 0)]
    return minimize(loss, np.zeros(X.shape[1]), jac=True, bounds=bounds, method="L-BFGS-B").x


def show(title: str, b: np.ndarray, X: np.ndarray, y: np.ndarray) -> None:
    p = 1 / (1 + np.exp(-X @ b))
    bins = [(p >= low) & (p < high) for low, high in itertools.pairwise(BINS)]
    print(title, *(f"{p[k].mean():.2f}:{y[k].mean():.2f} ({k.mean():.2f})" for k in bins if k.mean() > 0.005))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--cases", nargs="*", default=CASES)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = {case.name: observe(case) for case in cases(args, Path(folder)) if case.name in args.cases}
    for scene in (None, *sorted({name.split()[0] for name in data})):
        b = fit({name: d for name, d in data.items() if name.split()[0] != scene})
        print("without", scene, dict(zip((*SIGNS, "BIAS"), b.round(2).tolist(), strict=True)))
        for name, (X, y) in data.items():
            if scene is None or name.split()[0] == scene:
                show(f"  {name}: said:right (share)", b, X, y)


if __name__ == "__main__":
    main()
