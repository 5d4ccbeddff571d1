"""Our rasteriser with each instruction set: a process for each, since the library chooses when it is loaded, run in turn.

`python benchmarks/isa.py` prints the table; `benchmarks/rasteriser.py` calls `compare`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

SETS = ("sse42", "avx2", "avx512")
WARM_UP = 2


def compare(count: int, size: tuple[int, int], *, rounds: int) -> dict[str, dict[str, float]]:
    """Median milliseconds (`wall_ms`, `cpu_ms`) of forward and backward pass on one thread, by instruction set.

    A set that this machine lacks is absent.
    """
    workers = {name: _start(name, count, size) for name in SETS}
    ready = {name: worker for name, worker in workers.items() if _answer(worker) is not None}
    times: dict[str, list[list[float]]] = {name: [] for name in ready}
    for _ in range(WARM_UP + rounds):
        for name, worker in ready.items():
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            answer = _answer(worker)
            if answer is None:
                raise RuntimeError(f"the process with SPARSE3D_ISA={name} ended early")
            times[name].append(answer)
    for worker in workers.values():
        worker.communicate()
    medians = {name: np.median(np.array(rows)[WARM_UP:], 0) for name, rows in times.items()}
    return {name: {"wall_ms": float(m[0]), "cpu_ms": float(m[1])} for name, m in medians.items()}


def _start(name: str, count: int, size: tuple[int, int]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__)), "--worker", str(count), *(str(s) for s in size)],
        env={**os.environ, "SPARSE3D_ISA": name},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _answer(worker: subprocess.Popen) -> list[float] | None:
    """One line of JSON, or None if the process has ended."""
    assert worker.stdout is not None
    line = worker.stdout.readline()
    return json.loads(line) if line else None


def _work(count: int, width: int, height: int) -> None:
    """Run once for every line that comes in, and tell wall and processor time in ms."""
    from sparse3d.render.benchmark import RasteriserPass, race, slab_scene
    from sparse3d.render.options import RenderOptions

    options = RenderOptions(backend="cpu", depth=False, threads=1)
    contestant = RasteriserPass(*slab_scene(count, width, height), options).contestant()
    race({"warm": contestant}, rounds=1, seconds=0.0)
    print("[]", flush=True)
    for _ in sys.stdin:
        timing = race({"one": contestant}, rounds=1, seconds=0.0)["one"]
        print(json.dumps([timing.wall_ms, timing.cpu_ms]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _work(*(int(a) for a in sys.argv[2:]))
    else:
        print(json.dumps(compare(100_000, (512, 384), rounds=7), indent=1))
