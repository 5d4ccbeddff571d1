"""Equal bytes from run to run and for any number of threads; instruction sets agree."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from splat_scenes import images_and_gradients, outliers, random_scene

from sparse3d.render.rasterise import RenderOptions

ISA_SCRIPT = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from splat_scenes import images_and_gradients, random_scene
from sparse3d.kernels.library import instruction_set
from sparse3d.render.losses import l1_ssim_loss
from sparse3d.render.rasterise import RenderOptions
options = RenderOptions(backend="cpu", normals=True)
images, gradients = images_and_gradients(random_scene(400, seed=1, degree=3), options, torch.float32)
x = torch.rand(1, 40, 50, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
loss = l1_ssim_loss(x, x.detach().flip(1))
loss.backward()
torch.save((instruction_set(), images, {**gradients, "image": x.grad.double()}, float(loss.detach())), sys.argv[2])
"""


def test_bytes_are_equal_from_run_to_run_and_for_any_number_of_threads():
    scene = random_scene(20_000, seed=3, size=(150, 90), sigma=(0.005, 0.05), views=1)  # enough for the parallel sort
    options = RenderOptions(backend="cpu", threads=1, median_depth=True, normals=True)
    first = images_and_gradients(scene, options, torch.float32)
    for threads in (1, 2, 3, 7):
        again = images_and_gradients(scene, dataclasses.replace(options, threads=threads), torch.float32)
        for want, got in zip(first, again, strict=True):
            for key in want:
                assert torch.equal(want[key], got[key]), (threads, key)


@pytest.fixture(scope="module")
def isa_results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isa")
    results = {}
    for isa in ("sse42", "avx2", "avx512"):
        out = folder / f"{isa}.pt"
        render_tests = next(p for p in sys.path if p.endswith("render"))
        run = subprocess.run(
            [sys.executable, "-c", ISA_SCRIPT, render_tests, str(out)],
            env={
                **os.environ,
                "SPARSE3D_ISA": isa,
                "PYTHONPATH": os.pathsep.join(p for p in [str(Path.cwd()), *sys.path] if p),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode == 0:
            results[isa] = torch.load(out, weights_only=True)
        else:
            assert "SPARSE3D_ISA" in run.stderr, run.stderr  # a clear refusal where the machine lacks it
    return results


def test_instruction_sets_agree(isa_results):
    if not isa_results:
        pytest.skip("not an x86-64 machine")
    base_isa, base_images, base_gradients, base_loss = isa_results["sse42"]
    assert base_isa == "sse42"
    for isa, (used, images, gradients, loss) in isa_results.items():
        assert used == isa
        assert loss == pytest.approx(base_loss, rel=1e-6)
        for key, image in images.items():
            assert outliers(image, base_images[key], 1e-5) <= 2e-3, (isa, key)
        for key, gradient in gradients.items():
            assert outliers(gradient, base_gradients[key], 1e-4) <= 2e-3, (isa, key)
