"""Which jobs there are, in which order, how long they may take, and what the specifications of methods mean."""

import dataclasses

import pytest
import torch

from sparse3d.bench.bench import Spreading, threads_a_job
from sparse3d.bench.job import read_task, write_task
from sparse3d.bench.methods import METHODS, resolve_method
from sparse3d.bench.plan import QUICK, BenchConfig, configured, estimate, fitting_splits, plan
from sparse3d.bench.scene import Split
from sparse3d.bench.scene_file import read_scene, write_scene
from sparse3d.core.errors import InputError, MissingDependency

from .records import record


def test_jobs_go_seed_by_seed_and_only_where_a_method_can_work(tiny, tmp_path):
    config = BenchConfig(methods=("ours:fast", "colmap"), views=(3,), seeds=2)
    jobs = [task.job for task in plan([tiny], config, tmp_path)]
    assert [(j.seed, j.poses, j.method) for j in jobs] == [
        (seed, poses, method)
        for seed in (0, 1)
        for poses, method in (("posed", "ours fast"), ("unposed", "ours fast"), ("unposed", "colmap"))
    ]
    assert [j.key for j in jobs] == [task.job.key for task in plan([tiny], config, tmp_path)]
    assert len({j.key for j in jobs}) == len(jobs)


def test_photos_without_true_cameras_are_no_posed_job(tiny, tmp_path):
    cameras = tiny.cameras.replace(cam_from_world=torch.full_like(tiny.cameras.cam_from_world, torch.nan))
    unknown = dataclasses.replace(tiny, cameras=cameras)
    config = BenchConfig(views=(3,), seeds=1)
    assert [task.job.poses for task in plan([unknown], config, tmp_path)] == ["unposed"]
    with pytest.raises(InputError, match="nothing to run: the scenes have splits of 3 photos"):
        plan([unknown], dataclasses.replace(config, poses=("posed",)), tmp_path)


def test_settings_scoring_and_photos_make_another_job(tiny, tmp_path):
    def key(**changes) -> str:
        scene = changes.pop("scene", tiny)
        config = BenchConfig(**{"views": (3,), "seeds": 1, "poses": ("posed",), **changes})
        return plan([scene], config, tmp_path)[0].job.key

    (tmp_path / "ours.yaml").touch()
    settings = tmp_path / "mine.yaml"
    settings.write_text("optim: {passes: 3}\n")
    same = key(methods=(f"ours@{settings}",))
    assert same == key(methods=(f"ours@{settings}",), threads=1, timeout_s=5.0)
    settings.write_text("optim: {passes: 4}\n")
    others = {key(methods=(f"ours@{settings}",)), key(max_held_out=1), key()}
    others.add(key(scene=dataclasses.replace(tiny, downscale=2)))
    assert len(others | {same}) == 5


def test_splits_by_the_number_of_photos(tiny):
    part = Split(("002.jpg", "005.jpg", "008.jpg"), ("003.jpg",))
    six = Split(tuple(f"00{i}.jpg" for i in range(6)), ("008.jpg",))
    scene = dataclasses.replace(tiny, splits={"standard3": part, "sparse3": part, "six": six})
    assert fitting_splits(scene, BenchConfig(views=(6, 3))) == ["sparse3", "standard3", "six"]
    assert fitting_splits(scene, BenchConfig(views=(3, 6), one_split=True)) == ["sparse3", "six"]


def test_quick_gives_way_to_what_is_asked_for():
    config = configured(quick=True, poses=("posed",), threads=2, methods=(), views=(6,), seeds=None, timeout_s=None)
    assert (config.methods, config.views, config.seeds, config.threads) == (QUICK.methods, (6,), 1, 2)
    for wrong in ({"seeds": 0}, {"views": (1, 3)}, {"timeout_s": 0.0}):
        with pytest.raises(InputError, match="expected at least"):
            configured(quick=False, poses=("posed",), threads=0, **wrong)


def test_the_estimate_prefers_what_was_measured(tiny, tmp_path):
    config = BenchConfig(methods=("ours", "gsplat"), views=(3,), seeds=1, poses=("posed",))
    tasks = plan([tiny], config, tmp_path)
    guess = estimate(tasks, [tiny], {}, 1)
    assert guess.unknown == 1 and guess.seconds > 0
    timings = {**record()["timings"], "seconds": 1000.0}
    measured = estimate(tasks, [tiny], {"x": record(timings=timings)}, 2)
    assert 500 < measured.seconds < 550 and measured.unknown == 1


def test_scenes_and_tasks_survive_their_files(tiny, tmp_path):
    scene = dataclasses.replace(tiny, background=(1.0, 0.5, 0.0))
    write_scene(tmp_path / "scene.json", scene)
    again = read_scene(tmp_path / "scene.json")
    assert dict(again.splits) == dict(scene.splits) and again.photos == scene.photos
    assert again.background == scene.background and again.downscale == scene.downscale
    torch.testing.assert_close(again.cameras.cam_from_world, scene.cameras.cam_from_world, rtol=0, atol=1e-12)
    assert torch.equal(again.cameras.K, scene.cameras.K) and again.cameras.sizes == scene.cameras.sizes
    [task] = plan([tiny], BenchConfig(views=(3,), seeds=1, poses=("posed",)), tmp_path)
    write_task(task)
    assert read_task(task.file) == task


def test_threads_of_a_job():
    assert threads_a_job(3, Spreading(workers=2)) == 3
    assert threads_a_job(0, Spreading()) == 0
    assert threads_a_job(0, Spreading(workers=1000)) == 1
    with pytest.raises(InputError, match="--threads"):
        threads_a_job(0, Spreading(ray_address="auto"))
    with pytest.raises(InputError, match="--workers"):
        threads_a_job(0, Spreading(workers=0))


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("ours", "ours"),
        ("ours:fast", "ours fast"),
        ("colmap", "colmap"),
        ("colmap:xfeat", "colmap xfeat"),
        ("gsplat", "gsplat"),
        ("opensplat:500", "opensplat 500"),
    ],
)
def test_methods_by_name(spec, label):
    assert resolve_method(spec).label == label


@pytest.mark.parametrize(
    "spec", ["", "nerf", "ours:best", "ours@nowhere.yaml", "colmap:orb", "gsplat:x", "ply", "ply:no"]
)
def test_what_is_no_method_is_refused(spec):
    with pytest.raises(InputError):
        resolve_method(spec)


def test_rows_of_one_name_are_refused(tiny, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.yaml").write_text("optim: {passes: 3}\n")
    methods = tuple(f"ours@{tmp_path / folder / 'mine.yaml'}" for folder in ("a", "b"))
    with pytest.raises(InputError, match="same name"):
        plan([tiny], BenchConfig(methods=methods, views=(3,)), tmp_path)
    (tmp_path / "colmap.yaml").write_text("optim: {passes: 3}\n")
    with pytest.raises(InputError, match="is taken"):
        resolve_method(f"ours@{tmp_path / 'colmap.yaml'}")


def test_gsplat_says_what_it_lacks(tasks_of, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    from sparse3d.bench.materials import Material

    with pytest.raises(MissingDependency):
        METHODS["gsplat"]("").run(Material(tmp_path, None, tmp_path, "s", "3", 0, 1))
