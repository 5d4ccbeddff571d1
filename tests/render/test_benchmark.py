"""The measuring itself: who runs when, what is counted, and that the scripts run where there is nothing to race against."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gsplat_stand_in
import pytest
import torch

from sparse3d.core.cameras import Cameras
from sparse3d.kernels import library
from sparse3d.render import benchmark
from sparse3d.render.benchmark import multiply_adds_per_pair, race, slab_scene
from sparse3d.render.options import RenderOptions
from sparse3d.render.rasterise import rasterise
from sparse3d.render.reference import MIN_ALPHA, contributing_pairs

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "rasteriser.py"
native = pytest.mark.skipif(not library.is_available(), reason="the compiled kernels are not installed")


def test_a_race_interleaves_its_contestants_and_does_not_count_the_first_round():
    calls = []
    contestants = {n: (lambda n=n: calls.append(n), lambda n=n: calls.append(n.upper())) for n in ("a", "b")}
    found = race(contestants, rounds=3, seconds=0.0)
    assert "".join(calls) == "aAbBbBaAaAbBbBaA"
    assert found.keys() == {"a", "b"} and found["a"].rounds == 3
    assert 0 <= found["a"].wall_min_ms <= found["a"].wall_ms


def test_pairs_of_one_gaussian_are_the_pixels_that_it_covers():
    gaussians, cameras = slab_scene(1, 40, 30)
    options = RenderOptions(backend="reference")
    alpha = rasterise(gaussians, cameras, options=options).alpha
    assert contributing_pairs(gaussians, cameras, options) == int((alpha >= 0.99 * MIN_ALPHA).sum()) > 0


@native
def test_the_machine_is_measured(monkeypatch, capsys):
    from sparse3d.cli.doctor_benchmark import print_benchmark

    for name, value in (("COUNT", 2000), ("WIDTH", 64), ("HEIGHT", 48)):
        monkeypatch.setattr(benchmark, name, value)
    torch.set_num_threads(2)
    figures = benchmark.measure_machine([1, 2], rounds=2, seconds=0.0)
    assert figures.pairs > 2000 and figures.working_bytes > 0 and figures.peak > 1e8
    assert 0 < figures.share_of_peak() < 1
    assert figures.ns_per_pair(1) == pytest.approx(1e6 * figures.rasteriser[1].wall_ms / figures.pairs)
    monkeypatch.setattr(benchmark, "measure_machine", lambda threads: figures)
    print_benchmark()
    printed = capsys.readouterr().out
    for expected in (figures.instruction_set, "rasteriser, 2 threads", "ns", "MiB", "preset 'default'"):
        assert expected in printed


def test_more_channels_cost_more():
    assert multiply_adds_per_pair(7) - multiply_adds_per_pair(3) == 12


@native
@pytest.mark.slow
def test_the_script_writes_its_figures(tmp_path):
    out = tmp_path / "figures.json"
    arguments = ["--counts", "500", "--sizes", "48x32", "--threads", "1", "--repeats", "1", "--seconds", "0"]
    run = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--no-training", "--out", str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "7 channels / RGB" in run.stdout and "not measured" in run.stdout
    result = json.loads(out.read_text())
    assert result["machine"]["instruction_set"] in result["instruction_sets"]
    assert result["cases"][0]["pairs"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_script_says_so():
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--device", "cuda", "--peer", "gsplat"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 3 and "no GPU" in run.stderr


def test_the_gpu_race_compares_the_same_gradients(monkeypatch):
    """Its pictures and gradients, with the stand-in for gsplat and without a GPU."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    gpu = importlib.import_module("gpu")
    gaussians, cameras = slab_scene(300, 48, 32)
    poses = cameras.cam_from_world.repeat(2, 1, 1)
    poses[1, 0, 3] = 0.1
    cameras = Cameras.build(poses, cameras.K.repeat(2, 1, 1), [(48, 32)] * 2).to(torch.float32)

    def rasterization(means, quats, scales, opacities, colors, viewmats, Ks, width, height, packed):
        colors = colors.expand(len(viewmats), *colors.shape)  # gsplat takes both, the stand-in what the adapter gives
        return gsplat_stand_in.rasterization(
            means, quats, scales, opacities, colors, viewmats, Ks, width, height, packed=packed
        )

    ours = benchmark.RasteriserPass(gaussians, cameras, RenderOptions(backend="reference", depth=False))
    theirs = gpu.GsplatPass(SimpleNamespace(rasterization=rasterization), gaussians, cameras, packed=False)
    found = gpu._agreement(ours, theirs)
    assert found["psnr_db"] > 100 and max(found["gradient_difference"].values()) < 1e-4
