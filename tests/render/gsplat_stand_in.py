"""A module in gsplat 1.5.3's place that checks its arguments as gsplat does and answers through our reference.

What it has in common with the package: the names and meanings of the arguments, what it asserts of their shapes, what it
returns. It proves the adapter's mapping, not gsplat.
"""

import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.gaussians import Gaussians
from sparse3d.render import gsplat as adapter
from sparse3d.render.options import RenderOptions
from sparse3d.render.reference import rasterise_reference
from sparse3d.render.spherical_harmonics import sh_basis

VERSION = "1.5.3"


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the adapter find this module, and let it take tensors on the CPU."""
    module = ModuleType("gsplat")
    module.__dict__.update(__version__=VERSION, rasterization=rasterization, spherical_harmonics=spherical_harmonics)
    monkeypatch.setitem(sys.modules, "gsplat", module)
    monkeypatch.setattr(adapter, "DEVICE", "cpu")


def spherical_harmonics(degrees_to_use: int, dirs: Tensor, coeffs: Tensor, masks: Tensor | None = None) -> Tensor:
    """Colours without the offset of 0.5; directions of any length."""
    assert dirs.shape == (*coeffs.shape[:-2], 3) and coeffs.shape[-1] == 3
    assert (degrees_to_use + 1) ** 2 <= coeffs.shape[-2] and masks is None
    unit = torch.nn.functional.normalize(dirs, dim=-1).reshape(-1, 3)
    basis = sh_basis(unit, (degrees_to_use + 1) ** 2).reshape(*dirs.shape[:-1], -1)
    return (basis[..., None] * coeffs[..., : basis.shape[-1], :]).sum(-2)


def rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
) -> tuple[Tensor, Tensor, dict]:
    """The part of gsplat's signature that the adapter uses; anything else is a TypeError."""
    n, views = len(means), len(viewmats)
    assert n > 0, "gsplat divides by the number of Gaussians"
    assert means.shape == (n, 3) and quats.shape == (n, 4) and scales.shape == (n, 3) and opacities.shape == (n,)
    assert viewmats.shape == (views, 4, 4) and Ks.shape == (views, 3, 3) and not Ks.requires_grad
    assert all(t.dtype == torch.float32 for t in (means, quats, scales, opacities, colors, viewmats, Ks))
    assert sh_degree is None and colors.shape[:-1] == (views, n) and not packed
    assert render_mode in ("RGB", "RGB+D") and rasterize_mode in ("classic", "antialiased")
    assert all(torch.isfinite(t).all() for t in (means, quats, scales, opacities, colors)), "gsplat would spread it"
    assert (quats != 0).any(1).all()
    z = means @ viewmats[:, 2, :3, None] + viewmats[:, 2, 3, None, None]
    if render_mode == "RGB+D":
        colors = torch.cat([colors, z], -1)
        backgrounds = None if backgrounds is None else torch.cat([backgrounds, backgrounds.new_zeros(views, 1)], -1)
    options = RenderOptions(
        backend="reference", near=near_plane, eps2d=eps2d, antialias=rasterize_mode == "antialiased", depth=False
    )
    gaussians = Gaussians(means, quats, scales, opacities, means.new_zeros(n, 1, 3))
    images, alphas = [], []
    for view in range(views):
        camera = Cameras.build(viewmats[view : view + 1], Ks[view : view + 1], [(width, height)])
        drawn = rasterise_reference(gaussians, camera, colors[view], None, options, width, height)
        behind = 0.0 if backgrounds is None else (1 - drawn.alpha[..., None]) * backgrounds[view]
        assert drawn.features is not None
        images.append(drawn.features + behind)
        alphas.append(drawn.alpha[..., None])
    return torch.cat(images), torch.cat(alphas), {"width": width, "height": height, "n_cameras": views}
