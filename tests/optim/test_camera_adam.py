"""The cameras' Adam against torch's."""

import torch
from torch import nn

from sparse3d.optim.camera_adam import BETA1, BETA2, EPS, CameraAdam, Rate


def test_same_steps_as_torchs_adam_and_after_a_restore(generator):
    start = {"rotation": torch.randn(3, 3, generator=generator).double(), "log_focal": torch.randn(2).double()}
    rates = {"rotation": Rate(1e-2, 0.1), "log_focal": Rate(3e-3, 0.5)}
    ours = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    theirs = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    adam = CameraAdam(ours, rates)
    groups = [{"params": [p], "name": name, "lr": 0.0} for name, p in theirs.items()]
    reference = torch.optim.Adam(groups, betas=(BETA1, BETA2), eps=EPS)
    for i in range(12):
        done = i / 11
        for name in start:
            gradient = torch.randn(start[name].shape, generator=generator, dtype=torch.float64)
            ours[name].grad, theirs[name].grad = gradient.clone(), gradient.clone()
        for group in reference.param_groups:
            group["lr"] = rates[group["name"]].at(done)
        adam.step(done)
        reference.step()
        if i == 5:
            saved, adam = adam.arrays(), CameraAdam(ours, rates)
            adam.restore(saved)
    for name in start:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-10, atol=1e-12)


def test_what_has_no_gradient_stays():
    parameter = nn.Parameter(torch.ones(2).double())
    adam = CameraAdam({"log_focal": parameter}, {"log_focal": Rate(1.0, 1.0)})
    adam.forget_gradients()
    adam.step(0.0)
    assert parameter.tolist() == [1, 1]
