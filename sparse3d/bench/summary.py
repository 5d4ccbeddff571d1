"""Results put together: means over scenes, spread over seeds."""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sparse3d.bench.materials import Poses
from sparse3d.bench.results import Record

TIMINGS = ("seconds", "cpu_seconds", "peak_gib", "scoring_seconds")


@dataclass(frozen=True)
class Figure:
    """A mean with its spread.

    Attributes:
        mean: over scenes of the mean over seeds.
        std: standard deviation over seeds of the mean over scenes; None with one seed.
        count: number of scenes.
    """

    mean: float
    std: float | None
    count: int


@dataclass(frozen=True)
class Group:
    """Results that may be compared: one protocol, split and pose mode. Failed ones are among them.

    Attributes:
        records: all of them, in the order of the file.
        methods: labels, in the order in which the bench was given them.
    """

    dataset: str
    protocol: str
    split: str
    views: int
    poses: Poses
    records: tuple[Record, ...]
    methods: tuple[str, ...]

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(r["scene"] for r in self.records))

    def of(self, method: str, scenes: Iterable[str] | None = None) -> list[Record]:
        """What a method finished, on some scenes or all."""
        wanted = set(self.scenes if scenes is None else scenes)
        return [r for r in self.records if r["method"] == method and r["scene"] in wanted and r["status"] == "done"]

    def finished(self, method: str) -> tuple[str, ...]:
        """Scenes that a method finished with every seed that was tried."""
        tried = {r["scene"]: True for r in self.records if r["method"] == method}
        for r in self.records:
            if r["method"] == method and r["status"] != "done":
                tried[r["scene"]] = False
        return tuple(scene for scene, done in tried.items() if done)

    def common_scenes(self) -> tuple[str, ...]:
        """Scenes that all methods finished which finished any."""
        sets = [set(done) for m in self.methods if (done := self.finished(m))]
        return tuple(s for s in self.scenes if sets and all(s in each for each in sets))


def group_records(records: Iterable[Record], methods: Sequence[str]) -> list[Group]:
    """Put results that may be compared together, few photos first."""

    def identity(r: Record) -> tuple:
        return r["dataset"], r["protocol"], r["poses"], r["views"], r["split"]

    groups = []
    for key, found in itertools.groupby(sorted(records, key=identity), key=identity):
        dataset, protocol, poses, views, split = key
        members = tuple(found)
        present = {r["method"] for r in members}
        ordered = tuple(m for m in methods if m in present)
        groups.append(Group(dataset, protocol, split, views, poses, members, ordered))
    return groups


def value_of(record: Record, key: str) -> float | None:
    """A figure, or one of the timings, of a finished job; None where it was not measured."""
    if record["status"] != "done":
        return None
    value = record["timings"].get(key) if key in TIMINGS else record["figures"].get(key)
    return float(value) if value is not None and math.isfinite(value) else None


def figure(records: Sequence[Record], value: Callable[[Record], float | None]) -> Figure | None:
    """Mean and spread of a value over scenes and seeds; None where nothing has it."""
    found = {(r["scene"], r["seed"]): v for r in records if (v := value(r)) is not None}
    if not found:
        return None
    scenes, seeds = (list(dict.fromkeys(key[i] for key in found)) for i in (0, 1))
    by_scene = [statistics.fmean(found[s, seed] for seed in seeds if (s, seed) in found) for s in scenes]
    complete = [s for s in scenes if all((s, seed) in found for seed in seeds)]
    std = None
    if len(seeds) > 1 and complete:
        std = statistics.stdev(statistics.fmean(found[s, seed] for s in complete) for seed in seeds)
    return Figure(statistics.fmean(by_scene), std, len(scenes))
