"""All terms over several views at once: they go on from a checkpoint as if never stopped."""

import torch

from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.optim.progress import StopTraining
from sparse3d.optim.terms.binocular import BinocularConfig
from sparse3d.optim.terms.densify import DensifyConfig
from sparse3d.optim.terms.exposure import ExposureConfig
from sparse3d.optim.terms.floaters import FloatersConfig
from sparse3d.optim.terms.flow import FlowConfig
from sparse3d.optim.terms.opacity_decay import OpacityDecayConfig
from sparse3d.optim.terms.pseudo_views import PseudoViewsConfig
from sparse3d.render.rasterise import RenderOptions

ALL = OptimConfig(
    passes=10,
    camera_start=0,
    opacity_decay=OpacityDecayConfig(weight=0.1, cover=0.4),
    binocular=BinocularConfig(weight=0.1),
    pseudo_views=PseudoViewsConfig(weight=0.3),
    flow=FlowConfig(weight=0.1),
    floaters=FloatersConfig(at=(0.2, 0.7)),
    densify=DensifyConfig(share=0.05),
    exposure=ExposureConfig(lr=0.002),
)


class Store:
    """Keeps the state in memory."""

    arrays = None

    def load(self):
        return self.arrays

    def save(self, arrays):
        self.arrays = {name: value.copy() for name, value in arrays.items()}


def test_a_stopped_run_goes_on_where_it_was(scene, generator):
    params, prior = scene
    moved = params.means + 0.03 * torch.randn(params.means.shape, generator=generator)
    start = params.replace(means=moved, log_scales=params.log_scales + 0.7)
    whole = optimise(start, prior, ALL, render=RenderOptions(), seed=0)
    store = Store()

    def stop(progress):
        if progress.iteration >= 20:
            raise StopTraining

    optimise(start, prior, ALL, render=RenderOptions(), seed=0, checkpoints=store, on_progress=stop)
    resumed = optimise(start, prior, ALL, render=RenderOptions(), seed=0, checkpoints=store)
    assert len(whole.gaussians) > len(start), "some were split"
    assert torch.equal(whole.gaussians.means, resumed.gaussians.means)
    assert torch.equal(whole.gaussians.sh, resumed.gaussians.sh)
    assert torch.equal(whole.working_cameras.cam_from_world, resumed.working_cameras.cam_from_world)
