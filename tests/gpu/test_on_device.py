"""The kernels on a GPU, beside what `tests/render/test_contract.py` asks of them there. Run by `make test-gpu`."""

import dataclasses
import math

import pytest
import torch
from splat_scenes import draw, images_and_gradients, outliers, random_scene, with_masks
from test_adam import RATES, assert_states_close, make_gradients, make_state

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import MissingDependency
from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels import cuda_library
from sparse3d.kernels.adam import SplatState
from sparse3d.kernels.cuda_adam import splat_step_cuda
from sparse3d.kernels.cuda_image_loss import l1_ssim_cuda
from sparse3d.optim.adam import splat_step_reference
from sparse3d.render.losses import l1_ssim_loss_reference
from sparse3d.render.rasterise import RenderOptions, choose_backend, rasterise

CUDA = RenderOptions(backend="cuda", background=(0.1, 0.2, 0.3))
PSNR_DB = 60.0
GRADIENT, ALLOWED = 1e-3, 2e-3
"""Tolerance between backends, relative to the largest value of the tensor, and the share that may lie beyond."""


def large_scene(views: int = 3):
    return random_scene(50_000, seed=70, degree=1, size=(512, 384), views=views, features=0, sigma=(0.005, 0.03))


def test_the_device_is_known():
    device = cuda_library.device_info(0)
    assert cuda_library.device_count() == torch.cuda.device_count()
    assert device.name == torch.cuda.get_device_name(0)
    assert device.capability == 10 * torch.cuda.get_device_capability(0)[0] + torch.cuda.get_device_capability(0)[1]


@pytest.mark.parametrize("peer", ["cpu", "gsplat"])
def test_large_pictures_equal_other_backends(peer):
    try:
        choose_backend(peer)
    except (cuda_library.KernelUnavailable, MissingDependency) as error:
        pytest.skip(f"{error}")
    frozen = "K" if peer == "gsplat" else ""
    options = RenderOptions(backend=peer, background=CUDA.background)
    found = images_and_gradients(large_scene(), CUDA, torch.float32, device="cuda", frozen=frozen)
    device = "cuda" if peer == "gsplat" else "cpu"
    expected = images_and_gradients(large_scene(), options, torch.float32, device=device, frozen=frozen)
    error = (found[0]["rgb"] - expected[0]["rgb"]).square().mean().clamp_min(1e-20)
    assert -10 * math.log10(float(error)) > PSNR_DB
    for key, want in expected[1].items():
        assert outliers(found[1][key], want, GRADIENT) <= ALLOWED, key


def test_bytes_are_equal_from_run_to_run():
    first, again = (images_and_gradients(large_scene(), CUDA, torch.float32, device="cuda") for _ in range(2))
    for want, got in zip(first, again, strict=True):
        for key in want:
            assert torch.equal(want[key], got[key]), key


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_equals_the_reference(masked):
    g = torch.Generator().manual_seed(1)
    target = torch.rand(3, 130, 171, 3, generator=g)
    x = (target + 0.1 * torch.randn(target.shape, generator=g)).cuda().requires_grad_()
    mask = (torch.rand(3, 130, 171, generator=g) > 0.3).float().cuda() if masked else None
    found, _ = l1_ssim_cuda(x, target.cuda(), mask, 0.2)
    wide = x.detach().double().requires_grad_()
    expected = l1_ssim_loss_reference(wide, target.cuda().double(), ssim_weight=0.2, mask=mask)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    gradient, wanted = torch.autograd.grad(found, x)[0], torch.autograd.grad(expected, wide)[0]
    assert outliers(gradient.double(), wanted, 1e-4) == 0


def moved(state: SplatState, device: str) -> SplatState:
    """The same on another device; what is drawn shares the parameters' memory there too."""
    values, first, second = (part.map(lambda t: t.to(device)) for part in (state.values, state.first, state.second))
    scales, opacities = state.drawn.scales.to(device), state.drawn.opacities.to(device)
    drawn = Gaussians(values.means, values.quats_wxyz, scales, opacities, values.sh)
    rest = (t.to(device) for t in (state.mean_rates, state.min_log_scales, state.max_log_scales))
    return SplatState(values, first, second, drawn, *rest)


def test_the_optimiser_equals_the_reference():
    found, wanted = moved(make_state(2100, 9, torch.float32), "cuda"), make_state(2100, 9, torch.float32)
    for iteration in range(1, 6):
        gradients = make_gradients(wanted.drawn, iteration)
        there = Gaussians(*(getattr(gradients, f.name).cuda() for f in dataclasses.fields(gradients)))
        splat_step_cuda(found, there, RATES, iteration)
        splat_step_reference(wanted, gradients, RATES, iteration)
    assert_states_close(moved(found, "cpu"), wanted, 5e-6)


def on_device(scene):
    return scene.to(torch.float32, "cuda")


def test_the_current_stream_is_used():
    scene = on_device(with_masks(random_scene(2000, seed=3, size=(200, 150))))
    expected = draw(scene, scene.tensors, CUDA).rgb
    stream = torch.cuda.Stream()
    for _ in range(5):
        with torch.cuda.stream(stream):
            torch.cuda._sleep(10_000_000)
            late = [t + 0 for t in scene.tensors]
            found = draw(scene, tuple(late), CUDA).rgb
        stream.synchronize()
        assert torch.equal(found, expected)


def test_every_device_can_be_used():
    scene = random_scene(500, seed=4)
    expected = draw(on_device(scene), on_device(scene).tensors, CUDA).rgb.cpu()
    for index in range(torch.cuda.device_count()):
        there = scene.to(torch.float32, f"cuda:{index}")
        assert torch.equal(draw(there, there.tensors, CUDA).rgb.cpu(), expected)


def test_a_training_step_can_be_captured_in_a_graph():
    scene = on_device(random_scene(5000, seed=5, size=(160, 120), features=0))
    leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
    target = torch.rand(2, 120, 160, 3, device="cuda")
    used = [t for t in leaves if t.numel()]
    cameras = Cameras.build(leaves[6], leaves[7], [scene.size] * 2)  # once: the host looks at a new distortion

    def step():
        rendered = rasterise(Gaussians(*leaves[:5]), cameras, options=CUDA).rgb
        loss, _ = l1_ssim_cuda(rendered, target, None, 0.2)
        return loss.detach(), torch.autograd.grad(loss, used)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            eager_loss, eager = step()
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        loss, gradients = step()
    for _ in range(3):
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(loss, eager_loss)
        assert all(torch.equal(a, b) for a, b in zip(gradients, eager, strict=True))


def test_a_gpu_without_room_is_an_error_and_not_the_end():
    scene = on_device(random_scene(10, features=0))
    with pytest.raises((MemoryError, RuntimeError)):
        huge = random_scene(10, features=0, size=(32768, 32768), views=40)
        draw(on_device(huge), on_device(huge).tensors, CUDA)
    torch.cuda.empty_cache()
    assert draw(scene, scene.tensors, CUDA).rgb.isfinite().all()
