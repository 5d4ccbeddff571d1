"""The inside of a job's process: material, method, score."""

import logging
import os
import resource
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse3d.bench.films import write_film
from sparse3d.bench.job import Task, read_task
from sparse3d.bench.machine import machine
from sparse3d.bench.materials import materialise
from sparse3d.bench.methods import resolve_method
from sparse3d.bench.methods.interface import Outcome
from sparse3d.bench.scene_file import read_scene
from sparse3d.bench.scoring import figures_of, score, write_pictures
from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.eval.evaluate import EvaluateConfig
from sparse3d.io.json_files import write_json
from sparse3d.kernels.library import KernelUnavailable
from sparse3d.pipeline.report_text import hide_paths
from sparse3d.render.rasterise import RenderOptions

HISTORY_SAMPLES = 60
"""Of a run's history that the results keep."""
PARENT_CHECK_S = 0.5


def main(path: Path) -> None:
    """Do the job of a task file and write its result."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _end_with(os.getppid())
    task = read_task(path)
    write_json(task.result, execute(task))


def execute(task: Task) -> dict[str, Any]:
    """Run and score a method.

    Returns:
        The job's result but for what names the job: status ("done", "failed", "not available"), reason, figures, timings.
    """
    try:
        return _execute(task) | {"machine": machine()}
    except (MissingDependency, KernelUnavailable) as error:
        return {"status": "not available", "reason": f"not available: {hide_paths(str(error))}", "machine": machine()}
    except InputError as error:
        return {"status": "failed", "reason": hide_paths(str(error)), "machine": machine()}
    except Exception as error:  # whatever a method runs into is its result
        traceback.print_exc()
        return {"status": "failed", "reason": hide_paths(f"{type(error).__name__}: {error}"), "machine": machine()}


@dataclass(frozen=True)
class Usage:
    """What a process has used so far, with the programs that it started and that have ended."""

    wall_s: float
    cpu_s: float
    peak_gib: float

    @staticmethod
    def now() -> "Usage":
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
        cpu = sum(x.ru_utime + x.ru_stime for x in (own, children))
        return Usage(time.perf_counter(), cpu, max(own.ru_maxrss, children.ru_maxrss) * unit / 2**30)


def _execute(task: Task) -> dict[str, Any]:
    job, scene = task.job, read_scene(task.scene_file)
    method = resolve_method(task.spec)
    material = materialise(scene, job.split, job.poses, task.folder / "work", seed=job.seed, threads=task.threads)
    before = Usage.now()
    outcome = method.run(material)
    after = Usage.now()
    reconstruction = outcome.reconstruction
    evaluation = score(outcome, scene, job.split, scoring(task.max_held_out, task.threads))
    document = evaluation.to_json()
    write_json(task.folder / "evaluation.json", document)
    shown = write_pictures(task.pictures, job.key, outcome, scene, job.split, evaluation) if outcome.draws else []
    scored = time.perf_counter()
    film, no_film = _film(task, outcome) if task.films else (None, None)
    return {
        "status": "done",
        "reason": None,
        "figures": figures_of(document, {*evaluation.matched, *(v.name for v in evaluation.held_out)}),
        "reasons": [r for r in (document["poses_reason"], document["held_out"]["reason"], no_film) if r],
        "lpips": document["lpips"],
        "scoring": document["protocol"],
        "placed": len(reconstruction.cameras),
        "unplaced": {name: hide_paths(reason) for name, reason in reconstruction.provenance.unplaced},
        "gaussians": len(reconstruction.gaussians) if outcome.draws else None,
        "settings": dict(method.settings),
        "history": _thinned(reconstruction.history),
        "pictures": shown,
        **({"film": film} if task.films else {}),
        "threads": task.threads,
        "timings": {
            "seconds": round(after.wall_s - before.wall_s, 2),
            "cpu_seconds": round(after.cpu_s - before.cpu_s, 2),
            "peak_gib": round(after.peak_gib, 3),
            "stages_s": {name: round(s, 2) for name, s in reconstruction.provenance.timings_s.items()},
            "scoring_seconds": round(scored - after.wall_s, 2),
        },
    }


def _film(task: Task, outcome: Outcome) -> tuple[str | None, str | None]:
    """The film's file relative to the folder of pictures, or why there is none."""
    if not outcome.draws or len(outcome.reconstruction.cameras) < 2:
        return None, "no film: it takes Gaussians and two placed photos"
    file = f"{task.job.key}/film.mp4"
    try:
        write_film(task.pictures / file, outcome.reconstruction, RenderOptions(threads=task.threads or None))
    except MissingDependency as error:
        return None, f"no film: {error}"
    return file, None


def scoring(max_held_out: int | None, threads: int) -> EvaluateConfig:
    """How a job is scored."""
    return EvaluateConfig(max_held_out=max_held_out, options=RenderOptions(threads=threads or None))


def _thinned(history: tuple[dict[str, float], ...]) -> list[dict[str, float]]:
    """At most `HISTORY_SAMPLES` entries, evenly spread, without what differs from run to run."""
    step = max(1, -(-len(history) // HISTORY_SAMPLES))
    kept = [entry for i, entry in enumerate(history) if i % step == 0 or i == len(history) - 1]
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in kept]


def _end_with(parent: int) -> None:
    """End this process soon after the one that started it: nobody waits for the result of an orphan any more."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
