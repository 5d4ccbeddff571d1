"""The depth loss: blind to scale, deaf to outliers and to what nobody knows."""

import pytest
import torch

from sparse3d.kernels import library
from sparse3d.optim.losses import depth_loss, depth_loss_reference


@pytest.mark.skipif(not library.is_available(), reason="the compiled kernels are not installed")
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (90, 103)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
def test_kernel_equals_the_reference_at_any_number_of_threads(size, dtype, tolerance):
    generator = torch.Generator().manual_seed(2)
    prior, noise, alpha, confidence = torch.rand(4, *size, generator=generator, dtype=torch.float64).to(dtype)
    prior = torch.where(noise < 0.1, 0, 1 + prior)
    rendered = (prior * (1 + 0.2 * (noise - 0.5) ** 3)).requires_grad_()
    expected = 0.3 * depth_loss_reference(rendered, alpha, prior, confidence)
    (wanted,) = torch.autograd.grad(expected, rendered)
    results = []
    for threads in (1, 2, 5):
        found = 0.3 * depth_loss(rendered, alpha, prior, confidence, threads=threads)
        results.append((found.detach(), *torch.autograd.grad(found, rendered)))
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(results[-1][1], wanted, rtol=tolerance, atol=tolerance * float(wanted.abs().max()))
        assert all(torch.equal(a, b) for a, b in zip(results[-1], results[0], strict=True))


def test_gradient_and_scale():
    generator = torch.Generator().manual_seed(1)
    prior = 2 + torch.rand(6, 7, generator=generator, dtype=torch.float64)
    rendered = (prior * (1 + 0.02 * torch.randn(6, 7, generator=generator, dtype=torch.float64))).requires_grad_()
    alpha, confidence = torch.ones_like(prior), torch.rand(6, 7, generator=generator, dtype=torch.float64)
    loss = depth_loss(rendered, alpha, prior, confidence)
    assert torch.allclose(depth_loss(3 * rendered, alpha, 3 * prior, confidence), loss)
    loss.backward()
    assert rendered.grad is not None
    assert bool(((rendered.grad > 0) == (rendered.detach() > prior)).all())


def test_unknown_and_uncovered_pixels_do_not_count():
    rendered = torch.full((2, 2), 5.0, requires_grad=True)
    prior = torch.tensor([[4.0, 0.0], [4.0, 4.0]])
    alpha = torch.tensor([[1.0, 1.0], [0.2, 1.0]])
    confidence = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    depth_loss(rendered, alpha, prior, confidence).backward()
    assert rendered.grad is not None
    assert rendered.grad[0, 0] > 0
    assert rendered.grad.flatten()[1:].abs().sum() == 0


def test_an_outlier_pulls_less_than_a_small_error():
    def pull(error):
        rendered = torch.full((1, 1), 1.0 + error, requires_grad=True)
        depth_loss(rendered, torch.ones(1, 1), torch.ones(1, 1), torch.ones(1, 1)).backward()
        assert rendered.grad is not None
        return float(rendered.grad)

    assert 0 < pull(1.0) < 0.2 * pull(0.03)
