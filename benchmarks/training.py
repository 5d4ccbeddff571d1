"""Where a training iteration's time goes: `optimise` on three views, each compiled kernel timed as it is called.

usage: python benchmarks/training.py [--yardstick DIR] [--count 100000] [--size 512x384] [--threads 1 2] [--passes 12]

DIR as in benchmarks/rasteriser.py: its scene is used and its forward + backward pass is timed beside the loss. Prints medians
over passes (one iteration a view) and writes them, with the machine and the commit, to benchmarks/results/training.json.
"""

import argparse
import dataclasses
import json
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the package sets it: torch's threads must not spin beside ours

import numpy as np
import torch
from races import Yardstick, from_arrays

from sparse3d.bench.machine import machine
from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import GaussianParams, Gaussians
from sparse3d.core.geometry_prior import GeometryPrior, SparsePoints, ViewDepth
from sparse3d.kernels.library import load_library
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.progress import Progress
from sparse3d.render.benchmark import LossPass, race, slab_scene
from sparse3d.render.rasterise import RenderOptions, rasterise

RESULTS = Path(__file__).parent / "results" / "training.json"
KERNELS = ("s3d_forward", "s3d_backward", "s3d_image_loss", "s3d_depth_loss", "s3d_splat_step")
VIEWS = 3
WARM_UP = 2
"""Passes in which memory is still growing."""


class KernelClock:
    """Seconds spent inside each of the library's functions."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(KERNELS, 0.0)
        library = load_library()
        for name in KERNELS:
            if hasattr(library, name):
                setattr(library, name, self._timed(name, getattr(library, name)))

    def _timed(self, name: str, function):
        def call(*arguments):
            started = time.perf_counter()
            status = function(*arguments)
            self.seconds[name] += time.perf_counter() - started
            return status

        return call


def params_of(gaussians: Gaussians) -> GaussianParams:
    count = len(gaussians)
    return GaussianParams(
        means=gaussians.means,
        quats_wxyz=gaussians.quats_wxyz,
        log_scales=gaussians.scales.log(),
        logit_opacities=gaussians.opacities.logit(),
        sh=gaussians.sh,
        confidence=torch.full((count,), 0.9),
        observations=torch.full((count,), VIEWS),
    )


def cameras_of(camera: Cameras) -> Cameras:
    """The scene's camera and two beside it."""
    cam_from_world = camera.cam_from_world.repeat(VIEWS, 1, 1)
    cam_from_world[:, 0, 3] += torch.tensor([0.0, -0.2, 0.2], dtype=torch.float64)
    return Cameras.build(cam_from_world, camera.K.repeat(VIEWS, 1, 1), camera.sizes * VIEWS, groups=[0] * VIEWS)


def prior_of(params: GaussianParams, cameras: Cameras) -> GeometryPrior:
    """Photos and depth maps: what the scene itself shows."""
    with torch.no_grad():
        shown = rasterise(params.activate(), cameras.to(torch.float32), options=RenderOptions(backend="cpu"))
    none = torch.zeros(0)
    points = SparsePoints(
        none.double().reshape(0, 3), none.reshape(0, 3), none, none.long(), none.long(), none.reshape(0, 2)
    )
    return GeometryPrior(
        cameras=cameras,
        depths=tuple(ViewDepth(d, torch.full_like(d, 0.8), torch.full(d.shape, 2)) for d in shown.depth),
        images=tuple(shown.rgb),
        masks=tuple(torch.ones_like(a) for a in shown.alpha),
        full_cameras=cameras,
        points=points,
        unplaced=(),
        warnings=(),
        source="benchmark",
        scale_kind="global",
    )


def train(params: GaussianParams, prior: GeometryPrior, config: OptimConfig, threads: int, clock: KernelClock) -> dict:
    """Medians over passes, in ms an iteration, and memory pages faulted in a pass."""
    torch.set_num_threads(threads)
    stamps = []

    def observe(_: Progress) -> None:
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        stamps.append([time.perf_counter(), *clock.seconds.values(), faults])

    optimise(params, prior, config, render=RenderOptions(backend="cpu"), seed=0, on_progress=observe)
    each = np.diff(np.array(stamps)[WARM_UP - 1 :], axis=0)
    each[:, :-1] *= 1e3 / VIEWS
    median = np.median(each, axis=0)
    kernels = {n.removeprefix("s3d_"): float(v) for n, v in zip(KERNELS, median[1:-1], strict=True)}
    rasterisation = each[:, 1] + each[:, 2]
    return {
        "iteration_ms": float(median[0]),
        "kernels_ms": kernels,
        "python_and_torch_ms": float(np.median(each[:, 0] - each[:, 1:-1].sum(1))),
        "share_in_kernels": float(np.median(each[:, 1:-1].sum(1) / each[:, 0])),
        "over_rasterisation": float(np.median(each[:, 0] / rasterisation)),
        "page_faults_a_pass": float(median[-1]),
        "passes": len(each),
    }


def loss_beside(yardstick: Yardstick | None, arrays: dict | None, size: tuple[int, int], threads: int) -> dict:
    """The loss and the yardstick's rasteriser, interleaved; ms of wall time."""
    torch.set_num_threads(threads)
    contestants = {"loss": LossPass(*size, threads).contestant()}
    if yardstick is not None and arrays is not None:
        contestants["yardstick"] = yardstick.contestant(arrays, threads, channels=3)
    result = {f"{name}_ms": r.wall_ms for name, r in race(contestants, rounds=7, seconds=2.0).items()}
    if yardstick is not None:
        result["ratio"] = result["loss_ms"] / result["yardstick_ms"]
    return result


def print_case(case: dict) -> None:
    print(f"{case['losses']}, {case['threads']} thread(s): {case['iteration_ms']:.2f} ms an iteration (one view)")
    parts = case["kernels_ms"] | {"Python and torch": case["python_and_torch_ms"]}
    for name, ms in parts.items():
        print(f"  {name:18} {ms:7.2f} ms {100 * ms / case['iteration_ms']:5.1f} %")
    print(
        f"  {case['over_rasterisation']:.3f} times its rasterisation, {100 * case['share_in_kernels']:.1f} % in kernels, "
        f"{case['page_faults_a_pass']:.0f} page faults a pass"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yardstick", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--size", default="512x384")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--passes", type=int, default=12)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    width, height = (int(x) for x in args.size.split("x"))
    yardstick = None if args.yardstick is None else Yardstick(args.yardstick)
    arrays = None if yardstick is None else yardstick.make_scene(args.count, width, height)
    gaussians, camera = slab_scene(args.count, width, height) if arrays is None else from_arrays(arrays)
    params, base = params_of(gaussians), OptimConfig(passes=args.passes, log_every=VIEWS, camera_start=0)
    prior = prior_of(params, cameras_of(camera))
    start = params.replace(
        sh=params.sh + 0.3 * torch.randn(params.sh.shape, generator=torch.Generator().manual_seed(0))
    )
    result = {"machine": machine(), "gaussians": args.count, "size": args.size, "views": VIEWS, "cases": [], "loss": []}
    clock = KernelClock()
    for threads in args.threads:
        for losses, weight in (("RGB", 0.0), ("RGB and depth", base.depth_weight)):
            config = dataclasses.replace(base, depth_weight=weight)
            case = {"losses": losses, "threads": threads} | train(start, prior, config, threads, clock)
            result["cases"].append(case)
            print_case(case)
        result["loss"].append({"threads": threads} | loss_beside(yardstick, arrays, (width, height), threads))
        print("  " + ", ".join(f"{k} {v:.3g}" for k, v in result["loss"][-1].items()))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
