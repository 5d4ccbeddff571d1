"""Matched pixels are one point."""

from dataclasses import replace

import pytest
import torch
from optim_steps import rendered, step_of
from toy import toy_cameras, toy_params, toy_prior

from sparse3d.optim.terms.flow import Flow, FlowConfig, find_matches, flow_loss
from sparse3d.render.rasterise import RenderOutput


def double_output(depth: torch.Tensor) -> RenderOutput:
    return RenderOutput(torch.zeros(*depth.shape, 3, dtype=depth.dtype), torch.ones_like(depth), depth)


def test_matches_land_on_the_same_surface(scene):
    _, prior = scene
    found = find_matches(prior, 0, 1)
    assert len(found.pixels) > 300
    unsupported = tuple(replace(d, support=torch.zeros_like(d.support)) for d in prior.depths)
    assert len(find_matches(replace(prior, depths=unsupported), 0, 1).pixels) == 0
    apart = (prior.depths[0], replace(prior.depths[1], depth=1.1 * prior.depths[1].depth), prior.depths[2])
    assert len(find_matches(replace(prior, depths=apart), 0, 1).pixels) == 0


def test_the_gradient_is_right(scene):
    _, prior = scene
    matches = find_matches(prior, 0, 1)
    few = replace(matches, **{k: getattr(matches, k)[::40] for k in ("rows", "columns", "pixels", "confidence")})
    few = replace(few, pixels=few.pixels.double(), confidence=few.confidence.double())
    cameras = prior.cameras
    depth = prior.depths[0].depth.double()
    other = prior.depths[1].depth.double()
    values = (1.01 * depth[few.rows, few.columns]).requires_grad_()
    poses = cameras.cam_from_world.clone().requires_grad_()

    def loss(values, poses):
        filled = depth.index_put((few.rows, few.columns), values)
        moved = cameras.replace(cam_from_world=poses)
        return flow_loss(double_output(filled[None]), moved.select([0]), other, moved.select([1]), few)

    assert float(loss(values, poses).detach()) > 0
    assert torch.autograd.gradcheck(loss, (values, poses))


def test_a_depth_that_does_not_agree_is_pulled_to_the_other_views(scene):
    _, prior = scene
    matches = find_matches(prior, 0, 1)
    cameras = [prior.cameras.select([i]) for i in (0, 1)]
    true, other = prior.depths[0].depth, prior.depths[1].depth

    def at(factor: float) -> tuple[float, float]:
        depth = (factor * true[None]).requires_grad_()
        loss = flow_loss(double_output(depth), cameras[0], other, cameras[1], matches)
        (gradient,) = torch.autograd.grad(loss, depth)
        return float(loss.detach()), float(gradient.sum())

    exact, near, far = at(1.0), at(0.95), at(1.05)
    assert exact[0] < 0.1 * min(near[0], far[0])
    assert near[1] < 0 < far[1]


def test_the_other_views_depth_is_the_last_one_and_is_kept(scene):
    params, prior = scene
    term = Flow(FlowConfig(weight=0.1), prior)
    steps = [step_of(params, prior, view=view) for view in (0, 1)]
    assert term.loss(steps[0], rendered(steps[0])) is None
    other = Flow(FlowConfig(weight=0.1), prior)
    other.restore({k: v.copy() for k, v in term.arrays().items()})
    losses = [t.loss(steps[1], rendered(steps[1])) for t in (term, other)]
    assert losses[0] is not None
    assert losses[1] is not None
    assert torch.equal(losses[0], losses[1])


def test_one_view_has_no_matches(generator):
    params = toy_params(generator)
    prior = toy_prior(params, toy_cameras(1))
    step = step_of(params, prior)
    assert Flow(FlowConfig(weight=0.1), prior).loss(step, rendered(step)) is None


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match=r"flow\.weight"):
        FlowConfig(weight=-0.1)
