"""What the first Gaussians are worth, before any optimisation: renderings at held-out views, true cameras given.

usage: python benchmarks/initial.py SETS_DIR [NAME...] [--splits sparse3 sparse6 sparse12] [--out FILE] [--pictures DIR]

SETS_DIR/NAME holds images/, cameras.json and split.json. The training photos and their true cameras are all that the program
sees; PSNR and SSIM are means over the split's test photos, at about 512 px. Prints a line a run and writes all, with the machine
and the commit, to benchmarks/results/initial.json.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the package sets it

import numpy as np
from PIL import Image
from report import RESULTS, write

from sparse3d.bench.machine import machine
from sparse3d.core.cameras import Cameras
from sparse3d.eval.image_metrics import from_pixels, psnr, ssim, to_scoring_resolution
from sparse3d.eval.render_views import render_camera
from sparse3d.io.cameras_json import read_cameras_json
from sparse3d.io.image_files import read_image
from sparse3d.io.photos import load_photos
from sparse3d.priors.fusion import InitialiseConfig, initialise_gaussians
from sparse3d.priors.stereo.prior import StereoPrior

NAMES = ["strecha_fountain_p11", "llff_fern"]


def run_case(root: Path, split: str, parts: dict, pictures: Path | None) -> dict:
    true = read_cameras_json(root / "cameras.json")
    at = {Path(name).name: i for i, name in enumerate(true.names)}
    images = load_photos(root / "images", names=parts["train"])
    known = true.select([at[name] for name in images.names]).replace(names=images.names)
    prior = StereoPrior()
    geometry = prior.estimate_geometry(images, prior.estimate_cameras(images, known, seed=0))
    gaussians = initialise_gaussians(geometry, InitialiseConfig())
    test = true.select([at[name] for name in parts["test"]])
    scores = [score(gaussians.activate(), test.select([i]), root, pictures, split) for i in range(len(test))]
    means = np.mean(scores, axis=0)
    figures = {"psnr": round(float(means[0]), 2), "psnr_min": round(float(min(s[0] for s in scores)), 2)}
    figures["ssim"] = round(float(means[1]), 4)
    return {"set": root.name, "split": split, "test_photos": len(scores), "gaussians": len(gaussians)} | figures


def score(gaussians, camera: Cameras, root: Path, pictures: Path | None, split: str) -> tuple[float, float]:
    """PSNR and SSIM of one held-out view; truth and rendering side by side where pictures are wanted."""
    name = Path(camera.names[0]).name
    [view] = render_camera(gaussians, camera)
    truth = from_pixels(read_image(root / "images" / name))
    rendering, photo = to_scoring_resolution(view.rgb), to_scoring_resolution(truth)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        both = np.concatenate([photo, rendering], 1)
        Image.fromarray((both * 255).round().astype(np.uint8)).save(
            pictures / f"{root.name}-{split}-{Path(name).stem}.png"
        )
    return psnr(rendering, photo), ssim(rendering, photo)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--splits", nargs="+", default=["sparse3", "sparse6", "sparse12"])
    parser.add_argument("--out", type=Path, default=RESULTS / "initial.json")
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    results = []
    for name in args.names:
        splits = json.loads((args.sets / name / "split.json").read_text())
        for split in [s for s in args.splits if s in splits]:
            results.append(run_case(args.sets / name, split, splits[split], args.pictures))
            print(json.dumps(results[-1]), flush=True)
    write(args.out, {"machine": machine(), "runs": results})


if __name__ == "__main__":
    main()
