"""Random scenes for the rasteriser's tests."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import Gaussians
from sparse3d.core.se3 import so3_exp
from sparse3d.render.rasterise import Backend, RenderOptions, rasterise

NAMES = ("means", "quats_wxyz", "scales", "opacities", "sh", "features", "cam_from_world", "K")


@dataclass(frozen=True)
class Scene:
    """Float64 leaves in the order of NAMES, and the images' size."""

    tensors: tuple[Tensor, ...]
    size: tuple[int, int]

    def to(self, dtype: torch.dtype) -> "Scene":
        """The Gaussians in another dtype; the cameras stay float64."""
        return Scene((*(t.to(dtype) for t in self.tensors[:6]), *self.tensors[6:]), self.size)


def random_scene(
    count: int,
    *,
    seed: int = 0,
    degree: int = 1,
    size: tuple[int, int] = (70, 45),
    views: int = 2,
    features: int = 2,
    sigma: tuple[float, float] = (0.02, 0.15),
    depth: tuple[float, float] = (1.5, 5.0),
    spread: float = 1.2,
) -> Scene:
    """Gaussians in a frustum, `spread` times as wide as the image, with log-uniform scales."""
    g = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=g, dtype=torch.float64)

    width, height = size
    focal = 0.9 * width
    z = uniform(*depth, count)
    x = uniform(-0.5, 0.5, count) * spread * width / focal * z
    y = uniform(-0.5, 0.5, count) * spread * height / focal * z
    low, high = torch.tensor(sigma, dtype=torch.float64).log().tolist()
    poses = torch.eye(4, dtype=torch.float64).repeat(views, 1, 1)
    poses[:, :3, :3] = so3_exp(0.05 * torch.randn(views, 3, generator=g, dtype=torch.float64))
    poses[:, :3, 3] = 0.05 * torch.randn(views, 3, generator=g, dtype=torch.float64)
    k = intrinsics_matrix(focal, 1.05 * focal, 0.48 * width, 0.53 * height).repeat(views, 1, 1)
    tensors = (
        torch.stack([x, y, z], 1),
        torch.randn(count, 4, generator=g, dtype=torch.float64),
        uniform(low, high, count, 3).exp(),
        uniform(0.05, 0.95, count),
        0.4 * torch.randn(count, (degree + 1) ** 2, 3, generator=g, dtype=torch.float64),
        torch.randn(count, features, generator=g, dtype=torch.float64),
        poses,
        k,
    )
    return Scene(tensors, size)


def with_scales(scene: Scene, ratio: float, *, longest: float) -> Scene:
    """The same Gaussians, each `longest` scene units long and `ratio` times as long as wide."""
    tensors = list(scene.tensors)
    tensors[2] = torch.tensor([longest, longest / ratio, longest / ratio], dtype=torch.float64).expand_as(tensors[2])
    return Scene(tuple(tensors), scene.size)


def draw(scene: Scene, tensors: tuple[Tensor, ...], options: RenderOptions):
    """Rasterise the scene with these tensors in place of its own."""
    *gaussians, features, poses, k = tensors
    cameras = Cameras.build(poses, k, [scene.size] * len(poses))
    extra = features if features.shape[1] else None
    return rasterise(Gaussians(*gaussians), cameras, features=extra, options=options)


def images_and_gradients(
    scene: Scene, backend: Backend, dtype: torch.dtype = torch.float64, **options
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All images, and the gradients of a fixed random weighting of their pixels, in float64."""
    scene = scene.to(dtype)
    leaves = tuple(t.detach().clone().requires_grad_() for t in scene.tensors)
    settings = RenderOptions(backend=backend, background=(0.1, 0.2, 0.3), **options)
    output = draw(scene, leaves, settings)
    images = {"rgb": output.rgb, "alpha": output.alpha, "depth": output.depth}
    if output.features is not None:
        images["features"] = output.features
    g = torch.Generator().manual_seed(7)
    loss = sum((image * torch.randn(image.shape, generator=g, dtype=torch.float64)).sum() for image in images.values())
    used = [i for i, t in enumerate(leaves) if t.numel()]
    found = torch.autograd.grad(loss, [leaves[i] for i in used], allow_unused=True)
    gradients = {NAMES[i]: torch.zeros_like(leaves[i]) if f is None else f for i, f in zip(used, found, strict=True)}
    detached = {name: image.detach().double() for name, image in images.items()}
    return detached, {name: gradient.double() for name, gradient in gradients.items()}


def outliers(found: Tensor, expected: Tensor, tolerance: float) -> float:
    """Share of the values that differ by more than the tolerance, relative to the largest expected."""
    scale = expected.abs().max().clamp_min(1e-12)
    return float(((found - expected).abs() > tolerance * scale).double().mean())
