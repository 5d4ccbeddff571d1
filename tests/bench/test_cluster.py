"""Jobs spread by a Ray cluster on this machine."""

import builtins
import importlib.util
import os
import sys
from functools import partial
from pathlib import Path

import pytest

from sparse3d.bench import cluster
from sparse3d.bench.results import ResultsFile
from sparse3d.bench.runner import run_bench
from sparse3d.core.errors import MissingDependency

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")

ANY_ADDRESS = ("00000000", "00000000000000000000000000000000")
"""Of a listening socket in /proc/net/tcp and tcp6: all interfaces."""


def fails_once(marker: Path, task) -> dict:
    """Work whose worker dies the first time, as with a machine that goes away; afterwards it tells who listens."""
    if not marker.exists():
        marker.touch()
        os._exit(1)
    return {"key": task.job.key, "listening": listening()}


def listening() -> list[str]:
    """Addresses that processes of this user's Ray listen on."""
    inodes = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray" in (process / "cmdline").read_bytes():
                inodes |= {str(fd.readlink()) for fd in (process / "fd").iterdir()}
        except OSError:
            continue
    rows = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
    ]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]


@needs_ray
@pytest.mark.slow
def test_results_are_those_of_one_by_one(tasks_of, finished, what_lasts, tmp_path):
    _, alone, _ = finished
    results = ResultsFile(tmp_path / "results.jsonl")
    found = run_bench(tasks_of(tmp_path), results, partial(cluster.spread, workers=2), lambda _: None)
    assert list(found) == list(alone) and len(found) == 2
    assert all(record["status"] == "done" for record in found.values())
    for key, record in found.items():
        assert what_lasts(record) == what_lasts(alone[key])


@needs_ray
@pytest.mark.slow
def test_a_lost_worker_is_made_up_for_and_nobody_outside_is_listened_to(tasks_of, tmp_path):
    pickles = cluster.load_ray(local=True).cloudpickle
    pickles.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import this file
    [task] = tasks_of(tmp_path, poses=("posed",))
    marker = tmp_path / "died"
    records = list(cluster.spread([task], workers=1, work=partial(fails_once, marker)))
    assert marker.exists()
    assert [record["key"] for record in records] == [task.job.key]
    addresses = records[0]["listening"]
    assert addresses and not set(addresses) & set(ANY_ADDRESS)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    import_module = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "ray":
            raise ImportError("no ray")
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependency, match="pip install 'ray"):
        cluster.load_ray(local=True)
