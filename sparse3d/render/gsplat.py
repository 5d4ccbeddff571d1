"""gsplat 1.5 (Ye et al. 2024), an optional package with CUDA kernels of its own, behind the common interface.

The mapping is proved equal to the reference by a stand-in for the package (`tests/render/gsplat_stand_in.py`), and the
package itself, where there is a GPU, by `tests/render/test_contract.py`.
"""

import importlib
import math
from types import ModuleType

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import MissingDependency
from sparse3d.core.gaussians import Gaussians
from sparse3d.render.normals import facing_normals
from sparse3d.render.options import RenderOptions, RenderOutput, mean_of_blended

DEVICE = "cuda"
"""gsplat has kernels for this device alone."""
VERSION = "1.5."
"""The arguments below are those of this series."""


def rasterise_gsplat(
    gaussians: Gaussians,
    cameras: Cameras,
    features: Float[Tensor, "n c"] | None,
    masks: Bool[Tensor, "view h w"] | None,
    options: RenderOptions,
    width: int,
    height: int,
) -> RenderOutput:
    """Draw all views with `gsplat.rasterization`; see `sparse3d.render.rasterise.rasterise`.

    It leaves out the Gaussian that would take the transmittance below 1e-4 where the others blend it; colours differ by as
    much.

    Raises:
        MissingDependency: the package, or the version of it that this was written for, is not installed.
        ValueError: something was asked for that gsplat cannot do; the message names it.
    """
    gsplat = load_gsplat()
    _refuse_what_it_lacks(gaussians, cameras, masks, options)
    g, features = _drawable(gaussians, features)
    poses, K = cameras.cam_from_world.to(g.means), cameras.K.to(g.means)
    channels = _channels(gsplat, g, poses, features, with_normals=options.normals)
    background = channels.new_zeros(len(poses), channels.shape[-1])
    background[:, :3] = background.new_tensor(options.background)
    drawn, alpha, _ = gsplat.rasterization(
        means=g.means,
        quats=g.quats_wxyz,
        scales=g.scales,
        opacities=g.opacities,
        colors=channels,
        viewmats=poses,
        Ks=K,
        width=width,
        height=height,
        near_plane=options.near,
        eps2d=options.eps2d,
        backgrounds=background,
        render_mode="RGB+D" if options.depth else "RGB",  # the depth's sum comes last; its mean is taken as everywhere
        rasterize_mode="antialiased" if options.antialias else "classic",
        packed=False,
    )
    alpha = alpha[..., 0]
    behind = 3 + 3 * options.normals
    return RenderOutput(
        rgb=drawn[..., :3],
        alpha=alpha,
        depth=mean_of_blended(drawn[..., -1], alpha) if options.depth else torch.zeros_like(alpha),
        features=None if features is None else drawn[..., behind : behind + features.shape[1]],
        normals=drawn[..., 3:behind] if options.normals else None,
    )


def load_gsplat() -> ModuleType:
    """The package, which builds its kernels when they are first used.

    Raises:
        MissingDependency: it is absent, or of another version.
    """
    remedy = "pip install 'sparse3d[gsplat]', on a machine with an NVIDIA GPU and a CUDA build of torch"
    try:
        package = importlib.import_module("gsplat")
    except ImportError as error:
        raise MissingDependency(f"the backend 'gsplat' needs the package gsplat ({error}): {remedy}") from error
    if not package.__version__.startswith(VERSION):
        raise MissingDependency(f"the backend 'gsplat' needs gsplat {VERSION}x, found {package.__version__}: {remedy}")
    return package


def _refuse_what_it_lacks(
    g: Gaussians, cameras: Cameras, masks: Bool[Tensor, "view h w"] | None, options: RenderOptions
) -> None:
    found = (g.means.device.type, g.means.dtype)
    if found != (DEVICE, torch.float32):
        raise ValueError(f"backend 'gsplat': Gaussians of {found[1]} on {found[0]}, it takes float32 on {DEVICE} alone")
    lacking = {
        "median_depth": options.median_depth,
        "statistics": options.statistics,
        "masks": masks is not None,
        "gradients to K": cameras.K.requires_grad and torch.is_grad_enabled(),
    }
    wanted = [name for name, asked in lacking.items() if asked]
    if wanted:
        raise ValueError(f"backend 'gsplat' has no {', '.join(wanted)}: leave it out, or use 'cuda' or 'reference'")


def _drawable(g: Gaussians, features: Float[Tensor, "n c"] | None) -> tuple[Gaussians, Float[Tensor, "m c"] | None]:
    """The Gaussians with those that cannot be drawn made invisible, and at least one, since gsplat divides by the count."""
    parts = [g.means, g.quats_wxyz, g.scales, g.opacities, g.sh, *(() if features is None else (features,))]
    if len(g) == 0:
        parts = [torch.cat([p, p.new_zeros(1, *p.shape[1:])]) for p in parts]
    good = torch.stack([torch.isfinite(p).reshape(len(p), -1).all(1) for p in parts]).all(0)
    good = good & (parts[1] != 0).any(1)
    parts = [torch.where(good.reshape(-1, *(1,) * (p.dim() - 1)), p, 0.0) for p in parts]
    identity = parts[1].new_tensor([1.0, 0.0, 0.0, 0.0])
    parts[1] = torch.where(good[:, None], parts[1], identity)
    return Gaussians(*parts[:5]), None if features is None else parts[5]


def _channels(
    gsplat: ModuleType,
    g: Gaussians,
    poses: Float[Tensor, "view 4 4"],
    features: Float[Tensor, "m c"] | None,
    *,
    with_normals: bool,
) -> Float[Tensor, "view m channel"]:
    """What each Gaussian shows each view: colour, normal, features."""
    rotations, translations = poses[:, :3, :3], poses[:, :3, 3]
    # The centre by the transpose, as everywhere here; gsplat itself would invert, whose gradient differs off the rotations.
    offsets = g.means + (rotations.transpose(1, 2) @ translations[:, :, None]).transpose(1, 2)
    degree = math.isqrt(g.sh.shape[1]) - 1
    sh = g.sh.expand(len(poses), *g.sh.shape)
    channels = [(gsplat.spherical_harmonics(degree, offsets, sh) + 0.5).clamp_min(0)]
    if with_normals:
        channels.append(torch.stack([facing_normals(g.quats_wxyz, g.scales, o) for o in offsets.detach()]))
    if features is not None:
        channels.append(features.expand(len(poses), *features.shape))
    return torch.cat(channels, -1)
