"""Is the recommended photo worth more than another one? Trials on photo sets with more photos than are given.

usage: python benchmarks/next_photo.py SETS_DIR [NAME[:TRIALS]...] [--trials 5] [--work DIR] [--out FILE]

Each trial gives three neighbouring photos with their true cameras to the program and holds back up to eleven others nearby, of
which up to five may be added (benchmarks/next_photo_trials.py). The program knows where the held-back photos were taken, not
what they show, and chooses one to add. Then every candidate is added in turn and all is reconstructed anew. Of two candidates
the one that leaves the higher mean PSNR at the held-back photos besides these two is better. A trial is won if the recommended
one is better than one other candidate drawn at random; beside that stands the exact chance against all of the others.
In the same trials run FisherRF's choice and "own places": that of the program where nobody tells it of the held-back photos, so
that the places that it proposes itself count, as in a report.
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

METHODS = ("ours", "own_places", "fisher_rf")
NAMES = ["strecha_fountain_p11", "strecha_herzjesu_p25", "rgbd_7scenes_kitchen"]


def run_trial(root: Path, trial: Trial, work: Path) -> dict:
    """The choices and by how much every candidate is better than every other, in dB."""
    before = measure(root, trial, trial.given, work)
    scores = {name: measure(root, trial, (*trial.given, name), work) for name in trial.candidates}
    better = {a: {b: _better(scores, a, b) for b in trial.candidates if b != a} for a in trial.candidates}
    scene, cameras = run_of(root, trial.given, work), true_cameras(root)
    candidates, held_back = (
        cameras.select([cameras.names.index(name) for name in names]) for names in (trial.candidates, trial.held_back)
    )
    options = RenderOptions(threads=1)
    ours = rank_cameras(scene, candidates, seed=0, wanted=held_back, options=options)
    untold = rank_cameras(scene, candidates, seed=0, options=options)
    peers = fisher_rf_gains(scene, scene.cameras, candidates, probes=PROBES, options=options)
    result = {
        "set": trial.set_name,
        "seed": trial.seed,
        "given": trial.given,
        "others": trial.others,
        "psnr_before": round(float(np.mean([score["psnr"] for score in before.values()])), 3),
        "worth_db": {name: round(_worth(before, score), 3) for name, score in scores.items()},
        "better_db": {a: {b: round(value, 3) for b, value in row.items()} for a, row in better.items()},
        "ours": _choice(trial, ours, better),
        "own_places": _choice(trial, untold, better),
        "fisher_rf": _choice(trial, peers, better),
    }
    print(
        f"{trial.set_name} {trial.seed}: dB over the mean of the others",
        *(f"{method} {result[method]['over_mean_db']:+.2f}" for method in METHODS),
        flush=True,
    )
    return result


def _worth(before: dict, after: dict) -> float:
    """Gain in mean PSNR at the photos that are still held back."""
    return float(np.mean([after[name]["psnr"] - before[name]["psnr"] for name in after]))


def _better(scores: dict, a: str, b: str) -> float:
    """By how much candidate a is better than b at what is held back from both."""
    return float(
        np.mean([scores[a][name]["psnr"] - scores[b][name]["psnr"] for name in scores[a] if name in scores[b]])
    )


def _choice(trial: Trial, gains: list[float], better: dict[str, dict[str, float]]) -> dict:
    """What a method's gains choose, against the others."""
    chosen = trial.candidates[int(np.argmax(gains))]
    others = [name for name in trial.candidates if name != chosen]
    drawn = others[int(np.random.default_rng(1000 + trial.seed).integers(len(others)))]
    row = better[chosen]
    return {
        "gains": dict(zip(trial.candidates, gains, strict=True)),
        "chosen": chosen,
        "random": drawn,
        "over_random_db": round(row[drawn], 3),
        "won": row[drawn] > 0,
        "chance": round(float(np.mean([value > 0 for value in row.values()])), 3),
        "over_mean_db": round(float(np.mean(list(row.values()))), 3),
        "is_best": min(row.values()) > 0,
    }


def summary(trials: list[dict], method: str) -> dict:
    """A method's figures over trials."""
    rows = [trial[method] for trial in trials]
    return {
        "trials": len(rows),
        "won_against_drawn": round(float(np.mean([row["won"] for row in rows])), 3),
        "won_against_any": round(float(np.mean([row["chance"] for row in rows])), 3),
        "over_mean_of_others_db": round(float(np.mean([row["over_mean_db"] for row in rows])), 3),
        "chose_the_best": round(float(np.mean([row["is_best"] for row in rows])), 3),
    }


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
    result = {
        "machine": machine(),
        "protocol": " ".join((__doc__ or "").split("\n\n")[2].split()),
        "all": {method: summary(trials, method) for method in METHODS},
        "sets": {n: {m: summary([t for t in trials if t["set"] == n], m) for m in METHODS} for n in wanted},
        "trials": trials,
    }
    for method in METHODS:
        print(method, result["all"][method])
    write(args.out, result)


if __name__ == "__main__":
    main()
