"""Which jobs a bench has, and how long they may take."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparse3d.bench.execute import scoring
from sparse3d.bench.job import Job, Task
from sparse3d.bench.materials import Poses
from sparse3d.bench.methods import Method, resolve_method
from sparse3d.bench.results import Record
from sparse3d.bench.scene import BenchScene
from sparse3d.bench.scene_file import inputs_key, write_scene
from sparse3d.core.errors import InputError
from sparse3d.io.config_yaml import to_plain
from sparse3d.pipeline.config import checked_threads
from sparse3d.pipeline.stages import fingerprint

LEAST_PHOTOS = 2
SCORING_S = 4.0
"""Seconds to score a held-out photo with and without refinement of its pose, on two cores."""
PROCESS_S = 4.0
"""Seconds that a job's process takes to start and end."""


@dataclass(frozen=True)
class BenchConfig:
    """What is to be compared.

    Attributes:
        methods: specifications for `methods.resolve_method`.
        views: numbers of training photos: the splits that have as many are run.
        seeds: how many; 0, 1, ...
        poses: with the true cameras of the training photos, without them, or both.
        one_split: of several splits of a scene with as many photos, take the first alone.
        max_held_out: score at most so many held-out photos, evenly spread; None for all, as the protocols say.
        threads: of each job; 0 for all cores.
        timeout_s: a job is ended after so many seconds.
        films: make a film of each result.
    """

    methods: tuple[str, ...] = ("ours",)
    views: tuple[int, ...] = (3, 6, 9)
    seeds: int = 3
    poses: tuple[Poses, ...] = ("posed", "unposed")
    one_split: bool = False
    max_held_out: int | None = None
    threads: int = 0
    timeout_s: float = 3600.0
    films: bool = False


QUICK = BenchConfig(
    methods=("ours:fast", "colmap"), views=(3,), seeds=1, one_split=True, max_held_out=2, timeout_s=300.0
)
"""Fits all public sets into a quarter of an hour on two cores."""


def configured(*, quick: bool, poses: tuple[Poses, ...], threads: int, **given: Any) -> BenchConfig:
    """The default, or the quick one, with what the user gave over it.

    Args:
        given: methods, views, seeds, timeout_s, films; what is None or empty was not given.

    Raises:
        InputError: a number makes no sense.
    """
    changes = {name: value for name, value in given.items() if value not in (None, ())}
    config = replace(QUICK if quick else BenchConfig(), poses=poses, threads=checked_threads(threads), **changes)
    for name, value, least in (
        ("seeds", config.seeds, 1),
        ("timeout", config.timeout_s, 1),
        ("views", min(config.views), 2),
    ):
        if value < least:
            raise InputError(f"--{name} is {value:g}, expected at least {least}")
    return config


@dataclass(frozen=True)
class Estimate:
    """How long a bench may take.

    Attributes:
        seconds: of the jobs that something is known of.
        unknown: number of the other jobs.
    """

    seconds: float
    unknown: int


def plan(scenes: Sequence[BenchScene], config: BenchConfig, out: Path) -> list[Task]:
    """All jobs, in the order in which they run: seed by seed, so that a bench that is stopped has whole tables of few seeds.

    The scenes are written into `out`, where the jobs' processes read them.

    Raises:
        InputError: a method is unknown, two have one label, no split fits, or a file cannot be written.
    """
    methods = {spec: resolve_method(spec) for spec in dict.fromkeys(config.methods)}
    labels = [method.label for method in methods.values()]
    if len(set(labels)) < len(labels):
        raise InputError(f"two methods have the same name in the tables: {', '.join(labels)}; rename a file or folder")
    for scene in scenes:
        write_scene(_scene_file(out, scene), scene)
    tasks = []
    for seed, scene in itertools.product(range(config.seeds), scenes):
        for split, poses in itertools.product(fitting_splits(scene, config), config.poses):
            usable = poses == "unposed" or _has_true_cameras(scene, split)
            for spec, method in methods.items() if usable else ():
                if poses in method.poses:
                    job = _job(scene, split, poses, method, seed, config)
                    tasks.append(_task(job, spec, scene, config, out, gpu=method.gpu))
    if not tasks:
        there = sorted({len(s.train) for scene in scenes for s in scene.splits.values()})
        raise InputError(
            f"nothing to run: the scenes have splits of {', '.join(map(str, there)) or 'no'} photos, --views asks for "
            f"{', '.join(map(str, config.views))}; with true cameras where --poses is posed"
        )
    return tasks


def fitting_splits(scene: BenchScene, config: BenchConfig) -> list[str]:
    """Names of the splits with as many training photos as are asked for, few first."""
    counts = {name: len(split.train) for name, split in scene.splits.items()}
    fitting = [name for name, count in counts.items() if count in config.views and count >= LEAST_PHOTOS]
    fitting.sort(key=lambda name: (counts[name], name))
    if config.one_split:
        first = {counts[name]: name for name in reversed(fitting)}
        fitting = [name for name in fitting if first[counts[name]] == name]
    return fitting


def estimate(
    tasks: Sequence[Task], scenes: Sequence[BenchScene], records: Mapping[str, Record], workers: int
) -> Estimate:
    """How long tasks may take: as long as earlier jobs of the same method and number of photos, else what the method says.

    Args:
        records: earlier results.
        workers: how many run at once.
    """
    held_out = {(s.dataset, s.scene, name): len(split.test) for s in scenes for name, split in s.splits.items()}
    seconds, unknown = 0.0, 0
    for task in tasks:
        job = task.job
        own = _measured(job, records)
        if own is None:
            guess = resolve_method(task.spec).seconds
            own = None if guess is None else guess(job.views)
        if own is None:
            unknown += 1
            continue
        scored = held_out[job.dataset, job.scene, job.split]
        scored = scored if task.max_held_out is None else min(scored, task.max_held_out)
        seconds += PROCESS_S + own + SCORING_S * scored
    return Estimate(seconds / max(1, workers), unknown)


def _measured(job: Job, records: Mapping[str, Record]) -> float | None:
    """Mean duration of the method in earlier jobs with as many photos; None without any."""
    found = [
        record["timings"]["seconds"]
        for record in records.values()
        if record["status"] == "done" and (record["method"], record["views"]) == (job.method, job.views)
    ]
    return sum(found) / len(found) if found else None


def _job(scene: BenchScene, split: str, poses: Poses, method: Method, seed: int, config: BenchConfig) -> Job:
    scored = to_plain(scoring(config.max_held_out, 0))
    return Job(
        dataset=scene.dataset,
        scene=scene.scene,
        protocol=scene.protocol,
        split=split,
        views=len(scene.splits[split].train),
        poses=poses,
        method=method.label,
        seed=seed,
        settings=fingerprint(dict(method.settings), scored),
        inputs=inputs_key(scene, scene.splits[split]),
    )


def _task(job: Job, spec: str, scene: BenchScene, config: BenchConfig, out: Path, *, gpu: bool) -> Task:
    return Task(
        job=job,
        spec=spec,
        scene_file=_scene_file(out, scene),
        folder=out.resolve() / "jobs" / job.key,
        pictures=out.resolve() / "pictures",
        threads=config.threads,
        timeout_s=config.timeout_s,
        max_held_out=config.max_held_out,
        films=config.films,
        gpu=gpu,
    )


def _scene_file(out: Path, scene: BenchScene) -> Path:
    return out.resolve() / "scenes" / f"{scene.dataset}-{scene.scene}.json"


def _has_true_cameras(scene: BenchScene, split: str) -> bool:
    """Whether the poses and intrinsics of all training photos are known."""
    at = {name: i for i, name in enumerate(scene.photos)}
    chosen = [at[name] for name in scene.splits[split].train]
    return all(bool(x[chosen].isfinite().all()) for x in (scene.cameras.cam_from_world, scene.cameras.K))
