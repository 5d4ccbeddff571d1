"""The compiled optimiser step against its slow twin, and that against torch.optim.Adam with autograd's chain rule."""

import dataclasses

import pytest
import torch

from sparse3d.core.gaussians import Gaussians
from sparse3d.kernels.adam import SplatArrays, SplatRates, SplatState, splat_step
from sparse3d.optim.adam import splat_step_reference

RATES = SplatRates(means=0.3, quats_wxyz=0.01, log_scales=0.05, logit_opacities=0.1, sh_dc=0.02, sh_rest=0.003)
PRECISIONS = [(torch.float64, 1e-12), (torch.float32, 2e-6)]


def make_state(count: int, coefficients: int, dtype: torch.dtype) -> SplatState:
    generator = torch.Generator().manual_seed(count)

    def rand(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    log_scales, logits, sh = rand(count, 3) - 4, rand(count), rand(count, coefficients, 3)
    values = SplatArrays(rand(count, 3), rand(count, 4), log_scales, logits, sh)
    drawn = Gaussians(values.means, values.quats_wxyz, log_scales.exp(), logits.sigmoid(), sh)
    rates = 0.01 * rand(count, 3).abs() + 0.001
    bounds = log_scales - 0.1, log_scales + 0.12
    return SplatState(values, values.map(torch.zeros_like), values.map(torch.zeros_like), drawn, rates, *bounds)


def make_gradients(drawn: Gaussians, seed: int) -> Gaussians:
    """A tenth of the Gaussians is not seen, some gradients are tiny."""
    generator = torch.Generator().manual_seed(seed)
    seen = torch.rand(len(drawn), generator=generator) > 0.1

    def make(tensor):
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        noise = noise * 10 ** (-6 * torch.rand(tensor.shape, generator=generator, dtype=torch.float64))
        return (noise * seen.reshape(-1, *[1] * (tensor.dim() - 1))).to(tensor.dtype)

    return Gaussians(*(make(t) for t in vars(drawn).values()))


def assert_states_close(found: SplatState, wanted: SplatState, tolerance: float):
    for part in ("values", "first", "second", "drawn"):
        for name, tensor in vars(getattr(wanted, part)).items():
            scale = float(tensor.abs().max()) if tensor.numel() else 0.0
            torch.testing.assert_close(
                getattr(getattr(found, part), name),
                tensor,
                rtol=tolerance,
                atol=tolerance * scale,
                msg=f"{part}.{name}",
            )


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("count", "coefficients"), [(0, 1), (1, 1), (3, 4), (1030, 1), (2100, 9), (37, 16)])
def test_kernel_equals_the_reference(count, coefficients, dtype, tolerance):
    found, wanted = make_state(count, coefficients, dtype), make_state(count, coefficients, dtype)
    for iteration in range(1, 8):
        gradients = make_gradients(found.drawn, iteration)
        splat_step(found, gradients, RATES, iteration, threads=2)
        splat_step_reference(wanted, gradients, RATES, iteration)
        assert_states_close(found, wanted, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_both_equal_torchs_adam_with_autograd(dtype, tolerance):
    """Means are a change of variables there: but for epsilon, Adam's step does not depend on the gradient's size."""
    rates = dataclasses.replace(RATES, epsilon=1e-25)
    kernel, reference, start = (make_state(500, 4, dtype) for _ in range(3))
    offsets = torch.zeros_like(start.values.means).requires_grad_()
    quats, log_scales, logits = (
        t.clone().requires_grad_()
        for t in (start.values.quats_wxyz, start.values.log_scales, start.values.logit_opacities)
    )
    dc, rest = (t.clone().requires_grad_() for t in (start.values.sh[:, :1], start.values.sh[:, 1:]))
    leaves = {offsets: 0.3, quats: 0.01, log_scales: 0.05, logits: 0.1, dc: 0.02, rest: 0.003}
    adam = torch.optim.Adam([{"params": [p], "lr": rate} for p, rate in leaves.items()], eps=rates.epsilon)
    for iteration in range(1, 8):
        means = start.values.means + start.mean_rates * offsets
        drawn = Gaussians(means, quats, log_scales.exp(), logits.sigmoid(), torch.cat([dc, rest], 1))
        gradients = make_gradients(drawn, iteration)
        adam.zero_grad()
        torch.autograd.backward(list(vars(drawn).values()), list(vars(gradients).values()))
        adam.step()
        with torch.no_grad():
            log_scales.clamp_(start.min_log_scales, start.max_log_scales)
        splat_step(kernel, gradients, rates, iteration, threads=1)
        splat_step_reference(reference, gradients, rates, iteration)
    means = (start.values.means + start.mean_rates * offsets).detach()
    expected = SplatArrays(means, quats, log_scales, logits, torch.cat([dc, rest], 1).detach())
    for state in (kernel, reference):
        for name, tensor in vars(expected).items():
            torch.testing.assert_close(
                getattr(state.values, name), tensor.detach(), rtol=10 * tolerance, atol=10 * tolerance, msg=name
            )


def test_the_result_does_not_depend_on_the_threads():
    states = [make_state(5000, 4, torch.float32) for _ in range(3)]
    for state, threads in zip(states, (1, 2, 7), strict=True):
        splat_step(state, make_gradients(state.drawn, 1), RATES, 1, threads)
        assert_states_close(state, states[0], 0.0)


def test_what_is_frozen_stays_and_scales_keep_their_bounds():
    state, start = make_state(100, 1, torch.float32), make_state(100, 1, torch.float32)
    rates = dataclasses.replace(RATES, means=0.0, quats_wxyz=0.0, log_scales=1.0)
    gradients = make_gradients(state.drawn, 3)
    splat_step(state, gradients, rates, 1, threads=1)
    for name in ("means", "quats_wxyz"):
        assert torch.equal(getattr(state.values, name), getattr(start.values, name))
        assert not getattr(state.first, name).any()
    at_bounds = torch.where(gradients.scales > 0, state.min_log_scales, state.max_log_scales)
    moved = gradients.scales != 0
    assert torch.equal(state.values.log_scales[moved], at_bounds[moved])


def test_arrays_of_several_kinds_are_refused():
    state = make_state(4, 1, torch.float32)
    with pytest.raises(TypeError, match="splat step"):
        splat_step(state, make_gradients(make_state(4, 1, torch.float64).drawn, 0), RATES, 1, threads=1)
