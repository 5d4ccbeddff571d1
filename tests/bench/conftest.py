"""The courtyard, shrunk, as a bench scene, and a method that is done at once: somebody's Gaussians, left in a folder."""

from functools import partial
from pathlib import Path

import pytest
import torch

from sparse3d.bench.job import Task
from sparse3d.bench.plan import BenchConfig, plan
from sparse3d.bench.results import Record, ResultsFile
from sparse3d.bench.runner import one_by_one, run_bench
from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.io.cameras_json import read_cameras_json, write_cameras_json
from sparse3d.io.ply import write_gaussians_ply
from sparse3d.io.scenes import load_scene

DOWNSCALE = 4
TRAIN, TEST = ("002.jpg", "005.jpg", "008.jpg"), ("003.jpg", "006.jpg")


def tiny_scene(name: str = "courtyard", downscale: int = DOWNSCALE) -> BenchScene:
    """Three photos to train on and two to hold out; 160x120 after the division by four."""
    root = load_scene("courtyard").root
    cameras = read_cameras_json(root / "cameras.json")
    names = tuple(Path(file).name for file in cameras.names)
    sizes = [(width // downscale, height // downscale) for width, height in cameras.sizes]
    return BenchScene(
        dataset="tiny",
        scene=name,
        protocol="tiny-r4",
        photos={name: root / "images" / name for name in names},
        cameras=cameras.replace(names=names).resized(sizes),
        splits={"3": Split(TRAIN, TEST)},
        downscale=downscale,
    )


def cloud(seed: int = 0, count: int = 400) -> GaussianParams:
    """Coloured blobs about the place that the courtyard's photos look at."""
    generator = torch.Generator().manual_seed(seed)
    centre = look_at()
    return GaussianParams(
        means=centre + torch.randn(count, 3, generator=generator),
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.full((count, 3), 0.2).log(),
        logit_opacities=torch.full((count,), 1.0),
        sh=colour_to_sh0(torch.rand(count, 3, generator=generator)),
        confidence=torch.ones(count),
        observations=torch.full((count,), 2, dtype=torch.int32),
    )


def look_at() -> torch.Tensor:
    """A point three metres before the first training camera."""
    scene = tiny_scene()
    camera = scene.cameras.select([list(scene.photos).index(TRAIN[0])])
    return (camera.world_from_cam[0] @ torch.tensor([0.0, 0.0, 3.0, 1.0], dtype=torch.float64))[:3].float()


@pytest.fixture(scope="session")
def tiny() -> BenchScene:
    return tiny_scene()


@pytest.fixture(scope="session")
def theirs(tmp_path_factory) -> Path:
    """Somebody's result for the tiny scene: Gaussians and the cameras that they found, here the true ones."""
    root, scene = tmp_path_factory.mktemp("bench") / "theirs", tiny_scene()
    folder = root / "courtyard" / "3"
    write_gaussians_ply(folder / "gaussians.ply", cloud())
    at = [list(scene.photos).index(name) for name in TRAIN]
    write_cameras_json(folder / "cameras.json", scene.cameras.select(at))
    return root


@pytest.fixture(scope="session")
def tasks_of(tiny, theirs):
    """Jobs of the tiny scene in a folder, of somebody's result where no method is named."""

    def make(out: Path, **changes) -> list[Task]:
        changes = {"methods": (f"ply:{theirs}",), "views": (3,), "seeds": 1, "threads": 1, **changes}
        return plan([tiny], BenchConfig(**changes), out)

    return make


@pytest.fixture(scope="session")
def finished(tasks_of, tmp_path_factory) -> tuple[list[Task], dict[str, Record], ResultsFile]:
    """A bench of two jobs, posed and unposed, run one by one: its tasks, its results, and their file."""
    out = tmp_path_factory.mktemp("finished")
    tasks, results = tasks_of(out), ResultsFile(out / "results.jsonl")
    return tasks, run_bench(tasks, results, partial(one_by_one, keep_runs=True), lambda _: None), results


def lasting(record: Record) -> Record:
    """A record without what differs from run to run."""
    return {name: value for name, value in record.items() if name not in ("timings", "machine")}


@pytest.fixture
def what_lasts():
    return lasting
