"""Gaussians left out of a step."""

import pytest
import torch
from optim_steps import step_of

from sparse3d.optim.terms.dropout import Dropout, DropoutConfig


def test_the_share_grows_and_the_rest_makes_up_for_it(scene):
    params, prior = scene
    params = params.replace(confidence=torch.zeros(len(params)))
    term = Dropout(DropoutConfig(share=0.5))
    for done in (0.0, 0.4, 1.0):
        step = step_of(params, prior, done=done)
        drawn = term.draw(step, step.gaussians)
        left_out = (drawn.opacities == 0).float().mean()
        assert abs(float(left_out) - 0.5 * done) < 0.1
        kept = drawn.opacities > 0
        expected = (step.gaussians.opacities / (1 - 0.5 * done)).clamp(max=1)
        assert torch.allclose(drawn.opacities[kept], expected[kept])


def test_what_is_sure_stays(scene):
    params, prior = scene
    step = step_of(params.replace(confidence=torch.ones(len(params))), prior, done=1.0)
    drawn = Dropout(DropoutConfig(share=0.5)).draw(step, step.gaussians)
    assert torch.equal(drawn.opacities, step.gaussians.opacities)


def test_what_is_left_out_gets_no_gradient(scene):
    params, prior = scene
    params = params.replace(confidence=torch.zeros(len(params)))
    step = step_of(params, prior, done=1.0)
    drawn = Dropout(DropoutConfig(share=0.1)).draw(step, step.gaussians)
    drawn.opacities.sum().backward()
    gradient = step.gaussians.opacities.grad
    assert gradient is not None
    assert torch.equal(gradient == 0, drawn.opacities == 0)


def test_a_share_of_everything_is_refused():
    with pytest.raises(ValueError, match=r"dropout\.share"):
        DropoutConfig(share=1.0)
