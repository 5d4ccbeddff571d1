"""Jobs spread over a Ray cluster: one that is started here, on this machine alone, or one that is there already.

Ray decides where a job runs, by processor cores and GPUs, and runs it again where its worker was lost. The job itself is the same
process with the same number of threads as one by one, so the figures are the same.
"""

import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType

from sparse3d.bench.job import Task
from sparse3d.bench.results import Record
from sparse3d.bench.runner import failed_record, run_task
from sparse3d.core.errors import InputError, MissingDependency

LOST_WORKER_RETRIES = 3
"""How often a job is run again whose worker died, such as by a machine that went away."""
OBJECT_STORE_BYTES = 80 * 2**20
"""Near the least that Ray takes: only records travel."""


def spread(
    tasks: list[Task],
    *,
    workers: int,
    address: str | None = None,
    keep_runs: bool = False,
    work: Callable[[Task], Record] | None = None,
) -> Iterator[Record]:
    """Run tasks at once on several workers; records come as they are done.

    Args:
        workers: how many jobs at once on this machine; on a cluster, its resources decide.
        address: of a cluster that is there, whose machines see the same folders under the same paths.
        work: what a worker does with a task; `runner.run_task` where not given.

    Raises:
        MissingDependency: Ray is not installed.
        InputError: there is no cluster at the address, or a job's folder cannot be written.
    """
    ray = load_ray(local=address is None)
    cores = max(1, max(task.threads for task in tasks)) if tasks else 1
    _connect(ray, workers * cores, address)
    try:
        yield from _collect(ray, work or partial(run_task, keep_runs=keep_runs), tasks)
    finally:
        ray.shutdown()


def load_ray(*, local: bool) -> ModuleType:
    """Ray, set up to tell nobody of its use.

    Args:
        local: a cluster is to be started here; it listens to this machine alone.

    Raises:
        MissingDependency: it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if local:
        # Read on import. On any system Ray takes it for a wish to have no machine but this one, and uses the loopback interface.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise MissingDependency(
            "more than one worker needs Ray: pip install 'ray>=2.40' (the extra `bench`), or leave --workers out"
        ) from error
    return ray


def _connect(ray: ModuleType, cores: int, address: str | None) -> None:
    if address is not None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError) as error:
            raise InputError(
                f"{address}: no Ray cluster answers there ({error}); start one with: ray start --head"
            ) from error
        return
    ray.init(
        num_cpus=cores,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )


def _collect(ray: ModuleType, work: Callable[[Task], Record], tasks: list[Task]) -> Iterator[Record]:
    """Records as they come; a task whose worker was lost too often gets a record that says so."""
    remote = ray.remote(_do)
    gpus = bool(ray.cluster_resources().get("GPU"))
    waiting = {}
    for task in tasks:
        options = {"num_cpus": max(1, task.threads), "max_retries": LOST_WORKER_RETRIES}
        # Without a GPU the job says itself that its method is not available.
        options["num_gpus"] = 1 if task.gpu and gpus else 0
        waiting[remote.options(**options).remote(work, task)] = task
    while waiting:
        [ready], _ = ray.wait(list(waiting), num_returns=1)
        task = waiting.pop(ready)
        try:
            yield ray.get(ready)
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayTaskError):  # such as a disk that is full
                raise error.cause from error
            yield failed_record(task, f"its worker was lost {LOST_WORKER_RETRIES + 1} times")


def _do(work: Callable[[Task], Record], task: Task) -> Record:
    """What runs on a worker."""
    return work(task)
