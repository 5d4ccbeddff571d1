"""How fast the rasteriser and the photometric loss are, beside a peer in one process: forward + backward with pose gradients.

usage: python benchmarks/rasteriser.py [--yardstick DIR] [--counts 20000 100000 300000] [--sizes 512x384 1024x768]
       python benchmarks/rasteriser.py --device cuda [--peer gsplat]

On the CPU, DIR holds the peer: `yardstick.py` (a class Yardstick with forward(scene, threads, channels), backward(gradients)
and pairs()) and `surface_scene.py` (the scene). Both draw RGB and alpha, ours from spherical harmonics of degree 0; and RGB,
depth and normals. Without --yardstick our figures alone are printed, of a scene of our own. Every contestant runs once a
round, in turn. `benchmarks/training.py` is asked for the whole iteration.

Results, with machine and commit, go to benchmarks/results/rasteriser.json (rasteriser_cuda.json).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads of one contestant would slow the other down

import gpu
import isa
from races import Yardstick, run_case, share_of_peak
from report import RESULTS, Line, Target, print_lines, print_timings, write

from sparse3d.bench.machine import machine
from sparse3d.kernels.library import instruction_set
from sparse3d.render.benchmark import peak_multiply_adds

MAIN_CASE = (100_000, [512, 384])
"""Gaussians and picture that the targets are given for."""


def targets(figures: dict[str, float], threads: list[int]) -> list[Line]:
    """The figures of the main case that have a target, and those to know beside them."""
    lines = []
    for t in threads:
        get = figures.get
        lines.append(Line(f"RGB, ours / yardstick, {t} thread(s)", get(f"ours / yardstick x{t}"), "", Target(0.8)))
        lines.append(Line("  of processor time", get(f"ours / yardstick x{t} cpu")))
        lines.append(Line("  of the best rounds", get(f"ours / yardstick x{t} minima")))
        lines.append(Line(f"7 channels / RGB, {t} thread(s)", get(f"7 channels / RGB x{t}"), "", Target(1.3)))
        lines.append(Line(f"7 channels, ours / yardstick, {t} thread(s)", get(f"7 channels, ours / yardstick x{t}")))
        lines.append(Line(f"ns per contributing pair, {t} thread(s)", get(f"ns per pair x{t}"), "ns"))
    if len(threads) > 1:
        name = f"x{threads[0]} / x{threads[1]}"
        lines.append(
            Line(f"scaling from {threads[0]} to {threads[1]} threads", figures.get(name), "", Target(1.7, True))
        )
        lines.append(Line("  of the best rounds", figures.get(f"{name} minima")))
    loss = figures.get(f"loss / yardstick x{threads[0]}")
    lines.append(Line("L1 + SSIM / yardstick, 1 thread", loss, "", Target(9 / 34)))
    return lines


def run_cpu(args: argparse.Namespace) -> dict:
    """Every case, the instruction sets, the peak and the training iteration; printed as they come."""
    yardstick = None if args.yardstick is None else Yardstick(args.yardstick)
    result = {"machine": machine() | {"instruction_set": instruction_set()}, "cases": []}
    for size in args.sizes:
        for count in args.counts:
            case = run_case(yardstick, count, size, args.threads, args.repeats, args.seconds)
            result["cases"].append(case)
            print_timings(f"{count} Gaussians, {size[0]}x{size[1]}", case["timings"])
    main = next((c for c in result["cases"] if (c["gaussians"], c["size"]) == MAIN_CASE), result["cases"][0])
    result["peak_multiply_adds_per_s"] = peak = peak_multiply_adds()
    result["instruction_sets"] = sets = isa.compare(main["gaussians"], main["size"], rounds=args.repeats)
    result["training"] = training = None if args.no_training else training_iterations(args)
    lines = targets(main["figures"], args.threads)
    lines.append(Line("PSNR of our picture to the yardstick's", main.get("psnr_to_yardstick_db"), "dB"))
    if 1 in args.threads:
        share = 100 * share_of_peak(main["figures"], peak)
        lines.append(Line(f"multiply-adds, of {peak / 1e9:.0f} G/s that a matrix product reaches", share, "%"))
    if {"sse42", "avx2"} <= sets.keys():
        gain = sets["sse42"]["wall_ms"] / sets["avx2"]["wall_ms"]
        lines.append(Line("AVX2 beside SSE4.2", gain, "times as fast", Target(1.4, True)))
    if {"avx512", "avx2"} <= sets.keys():
        lines.append(Line("AVX-512 beside AVX2", sets["avx2"]["wall_ms"] / sets["avx512"]["wall_ms"], "times as fast"))
    for case in training or []:
        name = f"training iteration / its rasterisation, {case['losses']}, {case['threads']} thread(s)"
        lines.append(Line(name, case["over_rasterisation"], "", Target(1.35)))
        lines.append(Line("  share of it in kernels", case["share_in_kernels"], "", Target(0.8, True)))
    print_lines(f"{main['gaussians']} Gaussians, {main['size'][0]}x{main['size'][1]}: figures and targets", lines)
    return result


def training_iterations(args: argparse.Namespace) -> list[dict] | None:
    """What benchmarks/training.py finds for the main case; None if it does not run."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "training.json"
        command = [sys.executable, str(Path(__file__).with_name("training.py")), "--out", str(out), "--threads"]
        command += [
            *(str(t) for t in args.threads),
            *([] if args.yardstick is None else ["--yardstick", str(args.yardstick)]),
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            print(f"training.py did not run: {run.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return None
        return json.loads(out.read_text())["cases"]


def parse_size(text: str) -> tuple[int, int]:
    width, height = (int(x) for x in text.split("x"))
    return width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--yardstick", type=Path, metavar="DIR")
    parser.add_argument("--peer", choices=["gsplat"], help="on a GPU")
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 100_000, 300_000])
    parser.add_argument("--sizes", type=parse_size, nargs="+", default=[(512, 384), (1024, 768)])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7, help="rounds at least")
    parser.add_argument("--seconds", type=float, default=4.0, help="per case, at least")
    parser.add_argument("--no-training", action="store_true", help="leave out the whole iteration")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.device == "cuda":
        result = gpu.run(args.counts, args.sizes, args.peer, args.repeats)
    else:
        result = run_cpu(args)
    write(args.out or RESULTS / ("rasteriser_cuda.json" if args.device == "cuda" else "rasteriser.json"), result)


if __name__ == "__main__":
    main()
