"""The choice of FisherRF (Jiang, Lei and Daniilidis, ECCV 2024) over our Gaussians: the peer of benchmarks/next_photo.py.

Their gain of a view is tr(H_view * H_train^-1), H the diagonal of the Fisher information over all parameters of all Gaussians
(their equations 8 to 10 and 13): the picture that is the least certain itself. They gather the diagonal from one backward pass
whose upstream is all ones and square it; here it is Hutchinson's estimate, which does not let pixels cancel.
"""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.coverage.information import working_camera
from sparse3d.render.rasterise import RenderOptions, rasterise

REGULARISER = 1e-6
"""Added to the training photos' diagonal, as in their code."""


def fisher_rf_gains(
    scene: Reconstruction, taken: Cameras, candidates: Cameras, *, probes: int, options: RenderOptions
) -> list[float]:
    """tr(H_candidate * H_taken^-1) of each candidate, over means, rotations, log-scales, logit opacities and colours."""
    generator = torch.Generator().manual_seed(0)
    known = REGULARISER + sum(
        _diagonal(scene, taken.select([i]), probes, generator, options) for i in range(len(taken))
    )
    found = [_diagonal(scene, candidates.select([i]), probes, generator, options) for i in range(len(candidates))]
    return [float((diagonal.double() / known.double()).sum()) for diagonal in found]


def _diagonal(
    scene: Reconstruction, camera: Cameras, probes: int, generator: torch.Generator, options: RenderOptions
) -> Float[Tensor, " parameters"]:
    names = ("means", "quats_wxyz", "log_scales", "logit_opacities", "sh")
    leaves = {name: getattr(scene.gaussians, name).detach().requires_grad_() for name in names}
    drawn = scene.gaussians.replace(**leaves).activate()
    camera = working_camera(camera).to(torch.float32)
    rgb = rasterise(drawn, camera, options=dataclasses.replace(options, depth=False)).rgb
    total = torch.zeros(sum(leaf.numel() for leaf in leaves.values()))
    for _ in range(probes):
        signs = torch.randint(0, 2, rgb.shape, generator=generator).to(rgb) * 2 - 1
        pulled = torch.autograd.grad(rgb, list(leaves.values()), signs, retain_graph=True)
        total += torch.cat([p.flatten() for p in pulled]) ** 2
    return total / probes
