"""The photometric loss: the compiled kernel against its slow twin, and that against torchmetrics."""

import pytest
import torch

from sparse3d.kernels import library
from sparse3d.render.losses import l1_ssim_loss, l1_ssim_loss_reference, photometric_loss, ssim, ssim_map_reference

native = pytest.mark.skipif(not library.is_available(), reason="the compiled kernels are not installed")


def images(height: int, width: int, dtype=torch.float64, views: int = 2):
    generator = torch.Generator().manual_seed(height * 1000 + width)
    y = torch.rand(views, height, width, 3, generator=generator, dtype=torch.float64)
    x = (y + 0.2 * torch.randn(y.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    mask = torch.rand(views, height, width, generator=generator) > 0.3
    return x.to(dtype).requires_grad_(), y.to(dtype), mask


@native
@pytest.mark.parametrize("size", [(40, 53), (7, 3), (1, 1), (100, 64)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
@pytest.mark.parametrize("threads", [1, 3])
def test_kernel_equals_the_reference(size, masked, dtype, tolerance, threads):
    x, y, mask = images(*size, dtype)
    chosen = mask if masked else None
    found = l1_ssim_loss(x, y, ssim_weight=0.3, mask=chosen, threads=threads)
    expected = l1_ssim_loss_reference(x, y, ssim_weight=0.3, mask=chosen)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    (gradient,), (wanted,) = torch.autograd.grad(3 * found, x), torch.autograd.grad(3 * expected, x)
    torch.testing.assert_close(gradient, wanted, rtol=tolerance, atol=tolerance * float(wanted.abs().max()) + 1e-15)


@pytest.mark.parametrize("masked", [False, True])
def test_the_squared_error_comes_with_the_loss(masked):
    x, y, mask = images(13, 22)
    found = photometric_loss(x, y, mask=mask if masked else None)
    error = (x.detach() - y).square()
    expected = error[mask].mean() if masked else error.mean()
    torch.testing.assert_close(found.mse, expected, rtol=1e-10, atol=0)
    assert not found.mse.requires_grad and found.loss.requires_grad


@native
def test_the_result_does_not_depend_on_the_threads():
    x, y, mask = images(60, 31, torch.float32)
    results = []
    for threads in (1, 2, 5):
        loss = l1_ssim_loss(x, y, mask=mask, threads=threads)
        results.append((loss.detach(), torch.autograd.grad(loss, x)[0]))
    for loss, gradient in results[1:]:
        assert torch.equal(loss, results[0][0]) and torch.equal(gradient, results[0][1])


def test_the_map_equals_torchmetrics_away_from_the_border():
    metrics = pytest.importorskip("torchmetrics.functional.image")
    x, y, _ = images(40, 53)
    _, full = metrics.structural_similarity_index_measure(
        x.detach().movedim(-1, 1), y.movedim(-1, 1), data_range=1.0, return_full_image=True
    )
    inner = (slice(None), slice(5, -5), slice(5, -5))
    found = ssim_map_reference(x.detach(), y)[inner]
    torch.testing.assert_close(found, full.movedim(1, -1)[inner].to(found.dtype), rtol=1e-5, atol=1e-5)


def test_equal_images_and_empty_masks():
    x, _, mask = images(20, 20)
    assert float(l1_ssim_loss(x, x.detach()).detach()) == pytest.approx(0, abs=1e-12)
    assert float(ssim(x, x.detach()).detach()) == pytest.approx(1)
    nothing = l1_ssim_loss(x, 1 - x.detach(), mask=torch.zeros_like(mask))
    assert float(nothing.detach()) == 0
    assert (torch.autograd.grad(nothing, x)[0] == 0).all()


def test_what_is_masked_out_does_not_matter():
    x, y, mask = images(30, 30)
    spoilt = torch.where(mask[..., None], y, torch.rand_like(y))
    losses = [l1_ssim_loss(x, t, mask=mask).detach() for t in (y, torch.where(mask[..., None], y, spoilt))]
    l1 = [l1_ssim_loss(x, t, mask=mask, ssim_weight=0.0).detach() for t in (y, spoilt)]
    torch.testing.assert_close(l1[0], l1[1])
    assert abs(float(losses[0] - losses[1])) < 0.05  # windows over the mask's edge still see the photo there
