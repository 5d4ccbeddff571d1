"""Quality against time: held-out PSNR over the seconds of the optimisation, for ours, plain 3DGS from our start, and plain 3DGS.

usage: python benchmarks/quality_time.py SETS_DIR [--sets llff_fern dtu_scan65] [--held-out 4]

SETS_DIR holds public photo sets (docs/protocols.md, `public`); three photos of each (`sparse3`) are trained on with their true
cameras. Each method is looked at while it runs. Time is that of the processor with one thread, so that other work on the
machine does not count, and neither does looking. Cameras, depth and points to start from are made before; how long that took is
told beside. Writes benchmarks/results/quality_time.json and docs/pictures/quality-time.svg.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the package sets it: torch's threads must not spin beside ours

import numpy as np
import torch
from report import RESULTS, write

from sparse3d.bench.datasets import load_dataset
from sparse3d.bench.machine import CHECKOUT, machine
from sparse3d.bench.materials import Material, materialise, read_scaled, true_cameras
from sparse3d.bench.methods.interface import Provided, as_reconstruction
from sparse3d.bench.methods.plain import DENSE_ITERATIONS, SPARSE_ITERATIONS, dense_prior, focal_px, sparse_training
from sparse3d.bench.plain.densify import DensifyConfig
from sparse3d.bench.plain.start import gaussians_at_points
from sparse3d.bench.plain.training import PlainConfig, TrainingPhotos, train_plain
from sparse3d.bench.scene import BenchScene
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams
from sparse3d.eval.image_metrics import from_pixels, psnr, to_scoring_resolution
from sparse3d.eval.render_views import render_camera
from sparse3d.eval.view_scorer import spread
from sparse3d.optim.optimise import optimise
from sparse3d.optim.progress import Progress
from sparse3d.pipeline.config import load_config
from sparse3d.pipeline.report_curves import HEIGHT, WIDTH, Series, draw_plot
from sparse3d.priors.fusion import initialise_gaussians
from sparse3d.render.rasterise import RenderOptions

SPLIT = "sparse3"
COLOURS = {"ours": "#1b66c9", "plain-dense": "#2e8b57", "plain-3dgs": "#d1495b"}
PICTURE = CHECKOUT / "docs" / "pictures" / "quality-time.svg"


class Looker:
    """Takes a method's time and, whenever it is shown the method's Gaussians, their quality.

    Args:
        scene: gives the photos that are held out.
        cameras, train_px: of the training photos, as `as_reconstruction` takes them.
        count: of photos to look at.
    """

    def __init__(self, scene: BenchScene, cameras: Cameras, train_px: tuple[float, ...], count: int) -> None:
        names = scene.splits[SPLIT].test
        self.names = [names[i] for i in spread(list(range(len(names))), count)]
        self.truth = [to_scoring_resolution(from_pixels(read_scaled(scene, name))) for name in self.names]
        self.held_out = true_cameras(scene, tuple(self.names))
        self.cameras, self.train_px = cameras, train_px
        self.points: list[tuple[float, float]] = []
        self.started = time.process_time()

    def look(self, gaussians: GaussianParams) -> None:
        """One more point of the curve: (seconds so far, mean PSNR)."""
        now = time.process_time()
        scene = as_reconstruction(self.cameras, gaussians, Provided("", 0, train_px=self.train_px))
        views = render_camera(scene, self.held_out, RenderOptions(threads=1, depth=False))
        found = [psnr(to_scoring_resolution(v.rgb), truth) for v, truth in zip(views, self.truth, strict=True)]
        self.points.append((round(now - self.started, 3), round(float(np.mean(found)), 3)))
        self.started += time.process_time() - now


def timed(make: Callable[[], tuple]) -> tuple[float, tuple]:
    """What was made, and the processor's seconds that it took."""
    before = time.process_time()
    made = make()
    return round(time.process_time() - before, 1), made


def dense_curves(scene: BenchScene, material: Material, held_out: int) -> dict[str, dict]:
    """Ours, and plain training from the same Gaussians."""
    config = load_config("default")

    def start() -> tuple:
        prior = dense_prior(material, config)
        return prior, initialise_gaussians(prior, config.initialise)

    seconds, (prior, gaussians) = timed(start)
    photos = TrainingPhotos(prior.cameras, prior.images, prior.masks)
    curves = {}
    looker = Looker(scene, prior.full_cameras, focal_px(photos), held_out)

    def at_progress(progress: Progress) -> None:
        assert progress.snapshot is not None
        looker.look(progress.snapshot().gaussians)

    looker.look(gaussians)
    optimise(gaussians, prior, config.optim, render=RenderOptions(threads=1), seed=0, on_progress=at_progress)
    curves["ours"] = {"start_seconds": seconds, "points": looker.points}
    plain = PlainConfig(DENSE_ITERATIONS)
    curves["plain-dense"] = {
        "start_seconds": seconds,
        "points": plain_curve(gaussians, photos, plain, Looker(scene, prior.full_cameras, focal_px(photos), held_out)),
    }
    return curves


def sparse_curve(scene: BenchScene, material: Material, held_out: int) -> dict[str, dict]:
    """Plain 3DGS from triangulated points."""
    max_side = load_config("default").depth.max_side
    seconds, (start, photos) = timed(lambda: sparse_training(material, max_side))
    config = PlainConfig(SPARSE_ITERATIONS, densify=DensifyConfig())
    looker = Looker(scene, start.cameras, focal_px(photos), held_out)
    points = plain_curve(gaussians_at_points(start.points), photos, config, looker)
    return {"plain-3dgs": {"start_seconds": seconds, "points": points}}


def plain_curve(gaussians: GaussianParams, photos: TrainingPhotos, config: PlainConfig, looker: Looker) -> list:
    """The points of a plain training."""

    def at_entry(_entry: Mapping[str, float], now: GaussianParams) -> None:
        looker.look(now)

    looker.look(gaussians)
    train_plain(gaussians, photos, config, seed=0, threads=1, look=at_entry)
    return looker.points


def draw(found: dict[str, dict[str, dict]]) -> str:
    """A plot a set, side by side, as one SVG."""
    style = "".join(f".c{i} {{ --own: {colour} }}" for i, colour in enumerate(COLOURS.values(), 1))
    parts = []
    for column, (name, curves) in enumerate(found.items()):
        series = [Series(curves[method]["points"], colour) for colour, method in enumerate(COLOURS, 1)]
        plot = draw_plot(series, f"{name}: held-out PSNR (dB)", "seconds of optimisation, one core")
        parts.append(plot.replace("<svg ", f'<svg x="{column * WIDTH:.0f}" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" '))
    keys = "".join(
        f'<text x="{60 + 110 * i}" y="{HEIGHT + 16:.0f}" style="fill:{colour};font-weight:600">{method}</text>'
        for i, (method, colour) in enumerate(COLOURS.items())
    )
    width, height = WIDTH * len(found), HEIGHT + 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        "<style>svg { font: 11px system-ui, sans-serif } text { fill: #5b6670 } .label { fill: #1c2126; font-weight: 600 }"
        f".axis {{ stroke: #d8dde2; fill: none }} .curve {{ fill: none; stroke-width: 2; stroke: var(--own) }} {style}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}{keys}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets_dir", type=Path)
    parser.add_argument("--sets", nargs="+", default=["llff_fern", "dtu_scan65", "strecha_fountain_p11"])
    parser.add_argument("--held-out", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    protocol = (
        f"public, split {SPLIT}, true cameras, {arguments.held_out} held-out photos, PSNR at the scoring resolution"
    )
    found: dict[str, dict[str, dict]] = {}
    for scene in load_dataset("public", arguments.sets_dir, arguments.sets):
        with tempfile.TemporaryDirectory() as folder:
            material = materialise(scene, SPLIT, "posed", Path(folder), threads=1)
            found[scene.scene] = dense_curves(scene, material, arguments.held_out)
            found[scene.scene] |= sparse_curve(scene, material, arguments.held_out)
        for method, curve in found[scene.scene].items():
            first, last = curve["points"][0], curve["points"][-1]
            print(f"{scene.scene} {method}: start {curve['start_seconds']} s; {first} to {last}")
        # After each set, so that a run that is stopped leaves those that are done.
        write(RESULTS / "quality_time.json", {"protocol": protocol, "threads": 1, "machine": machine(), "sets": found})
        PICTURE.write_text(draw(found))


if __name__ == "__main__":
    main()
