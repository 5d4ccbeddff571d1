"""Race the compiled rasteriser against another one, interleaved in one process: forward + backward with pose gradients.

usage: python benchmarks/rasteriser.py --yardstick DIR [--counts 20000 100000 300000] [--size 512x384] [--threads 1 2]

DIR holds `yardstick.py` (a class Yardstick with forward(scene, threads) and backward(gradients)) and `surface_scene.py` (the
scene). Both draw RGB and alpha, ours from spherical harmonics of degree 0. Prints medians of wall and processor time and
writes them, with the machine and the commit, to benchmarks/results/rasteriser.json. Without --yardstick there is no race:
a random scene is drawn and our figures alone are printed.
"""

import argparse
import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads of one contestant would slow the other down

import numpy as np
import torch

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import Gaussians, colour_to_sh0
from sparse3d.kernels.library import instruction_set
from sparse3d.render.losses import l1_ssim_loss
from sparse3d.render.rasterise import RenderOptions, rasterise

RESULTS = Path(__file__).parent / "results" / "rasteriser.json"
Stamp = tuple[float, float]


class Ours:
    """The scene as our own types, and one forward and backward pass over it."""

    def __init__(self, scene: dict, threads: int, *, depth: bool, gradient: np.ndarray) -> None:
        def leaf(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array.copy()).requires_grad_()

        colours = colour_to_sh0(torch.from_numpy(scene["colors"])).requires_grad_()
        self.leaves = [leaf(scene[k]) for k in ("means", "quats", "scales", "opac")] + [colours]
        self.pose = torch.from_numpy(scene["viewmat"]).double()[None].requires_grad_()
        self.k = intrinsics_matrix(*scene["K"].tolist())[None].requires_grad_()
        self.cameras = Cameras.build(self.pose, self.k, [(scene["W"], scene["H"])])
        self.options = RenderOptions(backend="cpu", depth=depth, threads=threads)
        self.g_rgb = torch.from_numpy(np.ascontiguousarray(gradient[:3].transpose(1, 2, 0)))[None]
        self.g_alpha = torch.from_numpy(gradient[3])[None]

    def forward(self):
        for leaf in (*self.leaves, self.pose, self.k):
            leaf.grad = None
        self.output = rasterise(Gaussians(*self.leaves), self.cameras, options=self.options)

    def backward(self):
        out = self.output
        images, gradients = [out.rgb, out.alpha], [self.g_rgb, self.g_alpha]
        if self.options.depth:
            images, gradients = [*images, out.depth], [*gradients, self.g_alpha]
        torch.autograd.backward(images, gradients)


def stamp() -> Stamp:
    return time.perf_counter(), time.process_time()


def elapsed(start: Stamp, end: Stamp) -> list[float]:
    return [1e3 * (b - a) for a, b in zip(start, end, strict=True)]


def race(contestants: dict, repeats: int, seconds: float) -> dict[str, dict[str, float]]:
    """Milliseconds, medians and minima over rounds in which every contestant runs once."""
    rounds: dict[str, list[list[float]]] = {name: [] for name in contestants}
    stop = time.perf_counter() + seconds
    while len(next(iter(rounds.values()))) < repeats + 1 or time.perf_counter() < stop:
        for name, (forward, backward) in contestants.items():
            a = stamp()
            forward()
            b = stamp()
            backward()
            c = stamp()
            rounds[name].append([*elapsed(a, b), *elapsed(b, c), *elapsed(a, c)])
    columns = ("forward_wall", "forward_cpu", "backward_wall", "backward_cpu", "wall", "cpu")
    summary = {}
    for name, rows in rounds.items():
        kept = np.array(rows[1:])  # the first round warms up
        summary[name] = {f"{c}_ms": float(v) for c, v in zip(columns, np.median(kept, 0), strict=True)}
        summary[name]["wall_min_ms"], summary[name]["rounds"] = float(kept[:, 4].min()), len(kept)
    return summary


def loss_contestant(width: int, height: int, threads: int):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, height, width, 3, generator=generator).requires_grad_()
    y = torch.rand(1, height, width, 3, generator=generator)
    state = {}

    def forward():
        state["loss"] = l1_ssim_loss(x, y, threads=threads)

    def backward():
        x.grad = None
        state["loss"].backward()

    return forward, backward


def run_case(make_scene, yardstick, count: int, size: tuple[int, int], threads: int, args) -> dict:
    scene = make_scene(count, *size)
    gradient = np.random.default_rng(0).normal(size=(4, size[1], size[0])).astype(np.float32)
    contestants = {}
    if yardstick is not None:
        through = gradient * np.array([1, 1, 1, -1], np.float32)[:, None, None]  # its fourth plane is 1 - alpha
        contestants["yardstick"] = (lambda: yardstick.forward(scene, threads), lambda: yardstick.backward(through))
    for name, depth in (("ours", False), ("ours with depth", True)):
        ours = Ours(scene, threads, depth=depth, gradient=gradient)
        contestants[name] = (ours.forward, ours.backward)
    contestants["L1 + SSIM"] = loss_contestant(*size, threads)
    case = {"gaussians": count, "size": list(size), "threads": threads}
    case["results"] = race(contestants, args.repeats, args.seconds)
    if yardstick is not None:
        pairs, found, peer = yardstick.pairs(), case["results"]["ours"], case["results"]["yardstick"]
        case |= {"pairs": pairs, "ns_per_pair": 1e6 * found["wall_ms"] / pairs}
        case |= {f"{k}_ratio": found[f"{k}_ms"] / peer[f"{k}_ms"] for k in ("wall", "cpu")}
    return case


def random_scene(count: int, width: int, height: int) -> dict:
    """Gaussians of about one pixel in a slab, for runs without the yardstick's scene."""
    rng, focal = np.random.default_rng(0), 0.9 * width
    z = rng.uniform(2, 6, count)
    xy = rng.uniform(-0.5, 0.5, (count, 2)) * [width / focal, height / focal] * z[:, None]
    arrays = {
        "means": np.concatenate([xy, z[:, None]], 1),
        "scales": (z / focal)[:, None] * rng.uniform(0.3, 1.4, (count, 3)),
        "quats": rng.normal(size=(count, 4)),
        "colors": rng.uniform(size=(count, 3)),
        "opac": rng.uniform(0.5, 0.9, count),
        "viewmat": np.eye(4),
        "K": np.array([focal, focal, width / 2, height / 2]),
    }
    return {k: np.ascontiguousarray(v, np.float32) for k, v in arrays.items()} | {"W": width, "H": height}


def machine() -> dict:
    model = next((x.split(":")[1].strip() for x in _cpuinfo() if x.startswith("model name")), platform.processor())
    here = Path(__file__).parent
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--", ".", "../cuda"], cwd=here, capture_output=True, check=False
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "instruction_set": instruction_set(),
        "torch": torch.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() + (" (changed)" if changed.stdout.strip() else ""),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def print_case(case: dict) -> None:
    title = f"{case['gaussians']} Gaussians, {case['size'][0]}x{case['size'][1]}, {case['threads']} thread(s)"
    ratio = (
        f": ours / yardstick {case['wall_ratio']:.2f} wall, {case['cpu_ratio']:.2f} cpu" if "wall_ratio" in case else ""
    )
    print(title + ratio)
    for name, r in case["results"].items():
        print(
            f"  {name:16} forward {r['forward_wall_ms']:7.1f}  backward {r['backward_wall_ms']:7.1f}  both {r['wall_ms']:7.1f}"
            f" (min {r['wall_min_ms']:.1f}, cpu {r['cpu_ms']:.1f}) ms, median of {r['rounds']}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yardstick", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 100_000, 300_000])
    parser.add_argument("--size", default="512x384")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5, help="rounds at least")
    parser.add_argument("--seconds", type=float, default=3.0, help="per case, at least")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    width, height = (int(x) for x in args.size.split("x"))
    make_scene, yardstick = random_scene, None
    if args.yardstick is not None:
        sys.path.insert(0, str(args.yardstick))
        make_scene = importlib.import_module("surface_scene").surface_scene
        yardstick = importlib.import_module("yardstick").Yardstick()
    cases = []
    for count in args.counts:
        for threads in args.threads:
            cases.append(run_case(make_scene, yardstick, count, (width, height), threads, args))
            print_case(cases[-1])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine(), "cases": cases}, indent=1) + "\n")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
