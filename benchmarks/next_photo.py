"""Is the recommended photo worth more than another one? Trials on photo sets with more photos than are given.

usage: python benchmarks/next_photo.py SETS_DIR [NAME[:TRIALS]...] [--trials 5] [--work DIR] [--out FILE]

Each trial gives three neighbouring photos with their true cameras to the program, holds back up to five candidates and up to
six test photos nearby (benchmarks/next_photo_trials.py), and lets the program choose one candidate by its camera alone. Then
every candidate is added in turn, all is reconstructed anew, and the mean PSNR over the test photos decides. A trial is won
against a random photo if the recommended one leaves the smaller error. One candidate besides the recommended one is drawn
as the random one; beside that stands the exact chance against all of the others. FisherRF's choice runs in the same trials.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the package sets it

import numpy as np
import torch
from fisher_rf import fisher_rf_gains
from next_photo_trials import Trial, draw_trial, measure, run_of, true_cameras
from report import RESULTS, write

from sparse3d.bench.machine import machine
from sparse3d.coverage.plan import PROBES, rank_cameras
from sparse3d.render.rasterise import RenderOptions

NAMES = ["strecha_fountain_p11", "strecha_herzjesu_p25", "rgbd_7scenes_kitchen", "tum_fr3_office17"]


def run_trial(root: Path, trial: Trial, work: Path) -> dict:
    """The choices and what every candidate is worth, in dB of the test photos' mean PSNR."""
    base = _mean(measure(root, trial, trial.given, work), "psnr")
    scores = {name: measure(root, trial, (*trial.given, name), work) for name in trial.candidates}
    worth = {name: _mean(score, "psnr") - base for name, score in scores.items()}
    scene, cameras = run_of(root, trial.given, work), true_cameras(root)
    candidates = cameras.select([cameras.names.index(name) for name in trial.candidates])
    options = RenderOptions(threads=1)
    ours = rank_cameras(scene, candidates, seed=0, options=options)
    peers = fisher_rf_gains(scene, scene.cameras, candidates, probes=PROBES, options=options)
    result = {
        "set": trial.set_name,
        "seed": trial.seed,
        "given": trial.given,
        "tests": trial.tests,
        "psnr_before": round(base, 3),
        "worth_db": {name: round(value, 3) for name, value in worth.items()},
        "ours": _choice(trial, ours, worth),
        "fisher_rf": _choice(trial, peers, worth),
    }
    print(
        f"{trial.set_name} {trial.seed}: ours {result['ours']['worth_db']:+.2f} dB, FisherRF "
        f"{result['fisher_rf']['worth_db']:+.2f}, mean {np.mean(list(worth.values())):+.2f}, best {max(worth.values()):+.2f}",
        flush=True,
    )
    return result


def _choice(trial: Trial, gains: list[float], worth: dict[str, float]) -> dict:
    """What a method's gains choose, against the others."""
    chosen = trial.candidates[int(np.argmax(gains))]
    others = [name for name in trial.candidates if name != chosen]
    drawn = others[int(np.random.default_rng(1000 + trial.seed).integers(len(others)))]
    return {
        "gains": dict(zip(trial.candidates, gains, strict=True)),
        "chosen": chosen,
        "worth_db": round(worth[chosen], 3),
        "random": drawn,
        "random_worth_db": round(worth[drawn], 3),
        "won": worth[chosen] > worth[drawn],
        "chance": round(float(np.mean([worth[chosen] > worth[name] for name in others])), 3),
        "over_mean_db": round(worth[chosen] - float(np.mean([worth[name] for name in others])), 3),
        "is_best": worth[chosen] == max(worth.values()),
    }


def summary(trials: list[dict], method: str) -> dict:
    """A method's figures over trials."""
    rows = [trial[method] for trial in trials]
    return {
        "trials": len(rows),
        "won_against_drawn": round(float(np.mean([row["won"] for row in rows])), 3),
        "won_against_any": round(float(np.mean([row["chance"] for row in rows])), 3),
        "worth_db": round(float(np.mean([row["worth_db"] for row in rows])), 3),
        "over_mean_of_others_db": round(float(np.mean([row["over_mean_db"] for row in rows])), 3),
        "chose_the_best": round(float(np.mean([row["is_best"] for row in rows])), 3),
    }


def _mean(scores: list[dict], key: str) -> float:
    return float(np.mean([score[key] for score in scores]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("build/next_photo"))
    parser.add_argument("--out", type=Path, default=RESULTS / "next_photo.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    wanted = {name: int(count or args.trials) for name, _, count in (entry.partition(":") for entry in args.names)}
    # All are drawn first: a set that has too few photos is told of before hours of trials, not after them.
    drawn = [(args.sets / n, draw_trial(args.sets / n, seed)) for n, count in wanted.items() for seed in range(count)]
    trials = [run_trial(root, trial, args.work) for root, trial in drawn]
    methods = ("ours", "fisher_rf")
    result = {
        "machine": machine(),
        "protocol": " ".join((__doc__ or "").split("\n\n")[2].split()),
        "all": {method: summary(trials, method) for method in methods},
        "sets": {n: {m: summary([t for t in trials if t["set"] == n], m) for m in methods} for n in wanted},
        "trials": trials,
    }
    for method in methods:
        print(method, result["all"][method])
    write(args.out, result)


if __name__ == "__main__":
    main()
