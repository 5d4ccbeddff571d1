"""`sparse3d bench`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def bench(
    suite: tyro.conf.Positional[str],
    *,
    data: Path,
    out: Path,
    protocol: str | None = None,
    scenes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = (),
    methods: Annotated[tuple[str, ...], tyro.conf.arg(metavar="METHOD [METHOD ...]")] = (),
    views: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N [N ...]")] = (),
    seeds: int | None = None,
    poses: Literal["posed", "unposed", "both"] = "both",
    quick: bool = False,
    threads: int = 0,
    timeout: float | None = None,
    workers: int = 1,
    ray_address: str | None = None,
    retry_failed: bool = False,
    keep_runs: bool = False,
    published: Path | None = None,
    films: bool = False,
) -> None:
    """Compare methods on a data set of photos with true cameras, and write one page of what came out.

    Each job (scene, split, with or without true cameras, method, seed) runs in a process of its own on the training photos alone
    and is scored on held-out ones. OUT/results.jsonl has a line a job, OUT/index.html the tables, plots and pictures. Jobs that
    OUT has results of are not run again, so the same command goes on where it was stopped. See docs/benchmarks.md.

    Args:
        suite: the data set: public, llff, dtu and others (docs/protocols.md).
        data: the folder where you keep it.
        out: folder of the results.
        protocol: a heading of docs/protocols.md, where a data set has several (llff-8 and llff-4); its first one otherwise.
        scenes: of the data set; all where none is named.
        methods: ours, ours:PRESET, ours@FILE.yaml (differences from the default; its row is called FILE), colmap, colmap:xfeat,
            plain-3dgs, plain-dense, gsplat, opensplat, ply:DIR (anyone's results). The default is ours.
        views: numbers of training photos; the default is 3 6 9.
        seeds: how many; the default is 3.
        poses: with the true cameras of the training photos, from photos alone, or both.
        quick: three photos, one seed, the preset fast and COLMAP, two held-out photos a scene: all public sets in a quarter of an
            hour on two cores. Options given beside it win.
        threads: of each job; 0 takes all cores, or its share of them with several workers.
        timeout: seconds after which a job is ended; the default is 3600.
        workers: jobs at once on this machine, by Ray (the extra `bench`).
        ray_address: of a Ray cluster that is there, such as auto or 10.0.0.1:6379; its machines must see DATA and OUT.
        retry_failed: run jobs again that failed or whose method was not available.
        keep_runs: keep everything that the methods wrote, under OUT/jobs.
        published: YAML file of published figures; the default is the source's benchmarks/published.yaml.
        films: make a film of each result, a way from photo to photo: MP4 files beside the page, which links to them. Jobs without
            one are run again.
    """
    import signal

    from sparse3d.bench.bench import BenchRequest, Spreading, run_suite
    from sparse3d.bench.datasets import load_dataset
    from sparse3d.bench.plan import configured
    from sparse3d.cli.bench_progress import BenchProgress

    config = configured(
        quick=quick,
        poses=("posed", "unposed") if poses == "both" else (poses,),
        threads=threads,
        methods=methods,
        views=views,
        seeds=seeds,
        timeout_s=timeout,
        films=films,
    )
    request = BenchRequest(suite, data, out, scenes, config, published, protocol)
    spreading = Spreading(workers, ray_address, keep_runs=keep_runs, retry_failed=retry_failed)
    # A polite kill is Ctrl-C: the page is written, and the job under way is ended.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with BenchProgress() as progress:
            page = run_suite(request, spreading, progress, load_dataset)
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
    progress.say(f"\nThe page: {page}")
