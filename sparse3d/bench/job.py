"""One job: a method on the training photos of one split of one scene, with one seed.

`python -m sparse3d.bench.job TASK.json` does the job that the file describes, in this process, and writes what came of it
to `result.json` in the job's folder. The bench starts one such process a job.
"""

import dataclasses
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from sparse3d.bench.materials import Poses
from sparse3d.core.errors import InputError
from sparse3d.io.json_files import read_json_object, write_json
from sparse3d.pipeline.stages import fingerprint


@dataclass(frozen=True)
class Job:
    """What a result belongs to.

    Attributes:
        dataset, scene, protocol, split: as in `BenchScene`.
        views: number of training photos.
        poses: whether the method is given the true cameras of the training photos.
        method: its label, which names it in tables.
        seed: of every random choice.
        settings: fingerprint of the method's settings and of how it is scored.
        inputs: fingerprint of photos, truth and split.
    """

    dataset: str
    scene: str
    protocol: str
    split: str
    views: int
    poses: Poses
    method: str
    seed: int
    settings: str
    inputs: str

    @property
    def key(self) -> str:
        """Equal for equal jobs; can be a file name."""
        words = (self.dataset, self.scene, self.split, self.poses, self.method, f"seed{self.seed}")
        readable = re.sub(r"[^\w.-]+", "_", "-".join(words))
        return f"{readable}-{fingerprint(asdict(self))[:10]}"


@dataclass(frozen=True)
class Task:
    """A job and what it takes to do it.

    Attributes:
        job: what to do.
        spec: the method as the user named it; see `methods.resolve_method`.
        scene_file: written by `scene_file.write_scene`.
        folder: the job's own.
        pictures: folder for the pictures of the page.
        threads: that the job may use; 0 for all.
        timeout_s: the job is ended after so many seconds.
        max_held_out: score at most so many held-out photos; None for all.
        films: make a film of the result.
        gpu: it needs one.
    """

    job: Job
    spec: str
    scene_file: Path
    folder: Path
    pictures: Path
    threads: int = 0
    timeout_s: float = 3600.0
    max_held_out: int | None = None
    films: bool = False
    gpu: bool = False

    @property
    def file(self) -> Path:
        return self.folder / "task.json"

    @property
    def result(self) -> Path:
        return self.folder / "result.json"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"


def write_task(task: Task) -> None:
    """Write a task into its folder; raises InputError where that cannot be."""
    plain = {f.name: getattr(task, f.name) for f in dataclasses.fields(Task)}
    plain |= {name: str(value) for name, value in plain.items() if isinstance(value, Path)}
    write_json(task.file, plain | {"job": asdict(task.job)})


def read_task(path: Path) -> Task:
    """Read a task; raises InputError where the file is missing or damaged."""
    document = read_json_object(path)
    try:
        paths = {name: Path(document[name]) for name in ("scene_file", "folder", "pictures")}
        return Task(**{**document, **paths, "job": Job(**document["job"])})
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is no task of a bench ({error!r})") from error


if __name__ == "__main__":
    from sparse3d.bench.execute import main

    main(Path(sys.argv[1]))
