"""The GPU's kernels, compiled for the CPU: what the contract (`tests/render/test_contract.py`) does not ask of every
backend."""

import ctypes
import math

import cuda_emulation
import pytest
import torch
from splat_scenes import draw, images_and_gradients, images_of, outliers, random_scene, weighted_sum, with_masks
from test_adam import PRECISIONS, RATES, assert_states_close, make_gradients, make_state

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels import cuda_library, cuda_rasteriser
from sparse3d.kernels.cuda_adam import splat_step_cuda
from sparse3d.kernels.cuda_context import pool_of
from sparse3d.kernels.cuda_image_loss import l1_ssim_cuda
from sparse3d.kernels.library import KernelError
from sparse3d.optim.adam import splat_step_reference
from sparse3d.render.cuda import rasterise_cuda
from sparse3d.render.losses import l1_ssim_loss_reference
from sparse3d.render.rasterise import RenderOptions

CUDA = RenderOptions(backend="cuda", background=(0.1, 0.2, 0.3))
REFERENCE = RenderOptions(backend="reference", background=(0.1, 0.2, 0.3))
EVERYTHING = RenderOptions(backend="cuda", median_depth=True, normals=True, antialias=True, statistics=True)


@pytest.fixture(autouse=True)
def emulated(monkeypatch) -> ctypes.CDLL:
    return cuda_emulation.install(monkeypatch)


@pytest.mark.parametrize("mistake", [1, 2, 3])
def test_the_emulation_finds_mistakes(emulated, mistake):
    assert emulated.s3d_emulation_run_faulty(0) == b""
    assert emulated.s3d_emulation_run_faulty(mistake) != b""
    assert emulated.s3d_emulation_run_faulty(0) == b""


def run_everything(seed: int) -> dict[str, torch.Tensor]:
    """Every kernel once, in float32."""
    scene = with_masks(random_scene(300, seed=seed, degree=3, features=3))
    results = {}
    for options in (CUDA, EVERYTHING):
        images, gradients = images_and_gradients(scene, options, torch.float32)
        results |= {f"{options.normals} {k}": v for found in (images, gradients) for k, v in found.items()}
    statistics = draw(scene, scene.tensors, EVERYTHING).statistics
    results |= {"weight_sum": statistics.weight_sum, "weight_max": statistics.weight_max}
    x = torch.rand(2, 45, 70, 3, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    loss, mse = l1_ssim_cuda(x, x.detach().flip(1), None, 0.2)
    state = make_state(50, 4, torch.float32)
    splat_step_cuda(state, make_gradients(state.drawn, seed), RATES, 1)
    return results | {"loss": loss.detach(), "mse": mse, "x": torch.autograd.grad(loss, x)[0], "sh": state.values.sh}


def test_bytes_are_equal_from_run_to_run_and_in_either_order_of_threads(emulated):
    first = run_everything(1)
    for order in (cuda_emulation.DESCENDING, cuda_emulation.ASCENDING):
        emulated.s3d_emulation_set_order(order)
        try:
            again = run_everything(1)
        finally:
            emulated.s3d_emulation_set_order(cuda_emulation.ASCENDING)
        for key, value in first.items():
            assert torch.equal(value, again[key]), key


@pytest.mark.parametrize("size", [(40, 53), (7, 3), (1, 1), (16, 16), (100, 64)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
def test_the_loss_equals_the_reference(size, masked, dtype, tolerance):
    g = torch.Generator().manual_seed(sum(size))
    target = torch.rand(2, *size, 3, generator=g, dtype=torch.float64)
    x = (target + 0.2 * torch.randn(target.shape, generator=g, dtype=torch.float64)).clamp(0, 1).to(dtype)
    x, target = x.requires_grad_(), target.to(dtype)
    mask = (torch.rand(2, *size, generator=g) > 0.3).to(dtype) if masked else None
    found, mse = l1_ssim_cuda(x, target, mask, 0.3)
    expected = l1_ssim_loss_reference(x, target, ssim_weight=0.3, mask=mask)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    (gradient,), (wanted,) = torch.autograd.grad(3 * found, x), torch.autograd.grad(3 * expected, x)
    torch.testing.assert_close(gradient, wanted, rtol=tolerance, atol=tolerance * float(wanted.abs().max()) + 1e-15)
    weights = torch.ones_like(x[..., 0]) if mask is None else mask
    error = (weights[..., None] * (x - target).square()).sum() / (3 * weights.sum()).clamp_min(1)
    torch.testing.assert_close(mse, error.detach(), rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("count", "coefficients"), [(0, 1), (1, 1), (37, 16), (300, 4)])
def test_the_optimiser_equals_the_reference(count, coefficients, dtype, tolerance, on_device):
    found, wanted = make_state(count, coefficients, dtype), make_state(count, coefficients, dtype)
    for iteration in range(1, 6):
        gradients = make_gradients(found.drawn, iteration)
        number = torch.tensor(iteration, dtype=torch.int32) if on_device else None
        splat_step_cuda(found, gradients, RATES, 0 if on_device else iteration, number)
        splat_step_reference(wanted, gradients, RATES, iteration)
        assert_states_close(found, wanted, tolerance)


def crowded(sigma: float):
    """Equal shapes, very different numbers of splat-tile pairs."""
    return random_scene(1500, seed=60, size=(96, 64), features=0, sigma=(sigma, 2 * sigma))


def demand() -> tuple[int, int]:
    """Splat-tile pairs that the last pass needed, and those that there was room for."""
    lease = pool_of(torch.device("cpu")).acquire()
    needed, capacity = ctypes.c_int64(), ctypes.c_int64()
    references = ctypes.byref(needed), ctypes.byref(capacity)
    cuda_library.check(cuda_library.load_library().s3d_cuda_context_demand(lease.handle, *references))
    return needed.value, capacity.value


def test_a_sudden_demand_for_room_is_met_in_the_same_call():
    few, many = crowded(0.002), crowded(0.3)
    for scene in (few, many, few):
        found, expected = (images_and_gradients(scene, options) for options in (CUDA, REFERENCE))
        for got, want in zip(found, expected, strict=True):
            assert all(outliers(got[key], want[key], 1e-9) == 0 for key in want)
        assert demand()[0] <= demand()[1]


def test_too_little_room_without_waiting_is_loud_and_harmless(monkeypatch):
    few, many = crowded(0.002), crowded(0.3)
    images_and_gradients(few, CUDA)
    monkeypatch.setattr(cuda_rasteriser, "is_capturing", lambda device: True)
    images, gradients = images_and_gradients(few, CUDA)
    assert images["rgb"].isfinite().all() and gradients["means"].any()
    leaves = tuple(t.clone().requires_grad_() for t in many.tensors)
    drawn = images_of(draw(many, leaves, CUDA))
    assert all(image.isnan().all() for image in drawn.values())
    used = [t for t in leaves if t.numel()]
    assert all((g == 0).all() for g in torch.autograd.grad(weighted_sum(drawn), used))


def test_a_new_shape_must_wait_once(monkeypatch):
    monkeypatch.setattr(cuda_rasteriser, "is_capturing", lambda device: True)
    scene = random_scene(7, size=(91, 17))
    with pytest.raises(KernelError, match="wait = 1"):
        draw(scene, scene.tensors, CUDA)


def test_a_camera_that_is_not_finite_sees_nothing():
    """On a GPU the host does not look at poses."""
    scene = random_scene(20).to(torch.float32)
    cameras = Cameras.build(torch.full((1, 4, 4), math.nan), torch.eye(3)[None], [(40, 30)])
    found = rasterise_cuda(Gaussians(*scene.tensors[:5]), cameras, None, None, CUDA, 40, 30)
    assert (found.alpha == 0).all()
    torch.testing.assert_close(found.rgb, torch.tensor(CUDA.background).expand_as(found.rgb))


def test_wrong_arguments_are_named():
    scene = random_scene(5)
    tensors = list(scene.tensors)
    tensors[0] = tensors[0].float()
    with pytest.raises(TypeError, match="dtype"):
        draw(scene, tuple(tensors), CUDA)
    with pytest.raises(TypeError, match="one dtype"):
        l1_ssim_cuda(torch.zeros(1, 4, 4, 3), torch.zeros(1, 4, 4, 3, dtype=torch.float64), None, 0.2)
    with pytest.raises(KernelError, match="eps2d"):
        draw(scene, scene.tensors, RenderOptions(backend="cuda", eps2d=math.inf))
