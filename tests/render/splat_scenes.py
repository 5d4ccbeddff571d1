"""Random scenes for the rasterisers' tests, and what is compared of them."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import Gaussians
from sparse3d.core.se3 import so3_exp
from sparse3d.render.options import RenderOutput
from sparse3d.render.rasterise import RenderOptions, rasterise

NAMES = ("means", "quats_wxyz", "scales", "opacities", "sh", "features", "cam_from_world", "K", "uncertainty")
BACKGROUND = (0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Scene:
    """Float64 leaves in the order of NAMES (the uncertainty may be missing), the images' size, and masks or None."""

    tensors: tuple[Tensor, ...]
    size: tuple[int, int]
    masks: Tensor | None = None

    def to(self, dtype: torch.dtype, device: str = "cpu") -> "Scene":
        """The Gaussians in another dtype; the cameras stay float64."""
        cast = [t.to(device, t.dtype if name in ("cam_from_world", "K") else dtype) for name, t in self.named()]
        return Scene(tuple(cast), self.size, None if self.masks is None else self.masks.to(device))

    def named(self) -> list[tuple[str, Tensor]]:
        return list(zip(NAMES, self.tensors, strict=False))


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
    return dataclasses.replace(scene, tensors=tuple(tensors))


def with_uncertainty(scene: Scene, seed: int = 0) -> Scene:
    """The same scene with a figure in [0, 2] for each Gaussian."""
    g = torch.Generator().manual_seed(seed)
    figures = 2 * torch.rand(len(scene.tensors[0]), generator=g, dtype=torch.float64)
    return dataclasses.replace(scene, tensors=(*scene.tensors[:8], figures))


def with_masks(scene: Scene, seed: int = 0) -> Scene:
    """The same scene with the right-hand third masked out, and a tenth of the other pixels, scattered."""
    (width, height), views = scene.size, len(scene.tensors[6])
    masks = torch.rand(views, height, width, generator=torch.Generator().manual_seed(seed)) > 0.1
    masks[:, :, 2 * width // 3 :] = False
    return dataclasses.replace(scene, masks=masks)


def draw(scene: Scene, tensors: tuple[Tensor, ...], options: RenderOptions) -> RenderOutput:
    """Rasterise the scene with these tensors in place of its own."""
    gaussians, (features, poses, k, *rest) = Gaussians(*tensors[:5]), tensors[5:]
    cameras = Cameras.build(poses, k, [scene.size] * len(poses))
    return rasterise(
        gaussians,
        cameras,
        features=features if features.shape[1] else None,
        uncertainty=rest[0] if rest else None,
        masks=scene.masks,
        options=options,
    )


def images_of(output: RenderOutput) -> dict[str, Tensor]:
    """Every image that was drawn."""
    fields = ("rgb", "alpha", "depth", "median_depth", "normals", "features", "uncertainty")
    return {name: getattr(output, name) for name in fields if getattr(output, name) is not None}


def weighted_sum(images: dict[str, Tensor], seed: int = 7) -> Tensor:
    """A scalar of the images: a fixed random weighting of their pixels."""
    g = torch.Generator().manual_seed(seed)
    weights = (torch.randn(i.shape, generator=g, dtype=torch.float64).to(i) for i in images.values())
    return torch.stack([(i * w).sum() for i, w in zip(images.values(), weights, strict=True)]).sum()


def images_and_gradients(
    scene: Scene, options: RenderOptions, dtype: torch.dtype = torch.float64, *, device: str = "cpu", frozen: str = ""
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All images, and the gradients of a weighted sum of them to all tensors but the `frozen` one, in float64."""
    leaves = {name: t.detach().clone().requires_grad_(name != frozen) for name, t in scene.to(dtype, device).named()}
    images = images_of(draw(scene.to(dtype, device), tuple(leaves.values()), options))
    used = {name: t for name, t in leaves.items() if t.numel() and t.requires_grad}
    found = torch.autograd.grad(weighted_sum(images), list(used.values()), allow_unused=True)
    gradients = {n: torch.zeros_like(t) if f is None else f for (n, t), f in zip(used.items(), found, strict=True)}
    detached = {name: image.detach().double().cpu() for name, image in images.items()}
    return detached, {name: gradient.double().cpu() for name, gradient in gradients.items()}


def outliers(found: Tensor, expected: Tensor, tolerance: float) -> float:
    """Share of the values that differ by more than the tolerance, relative to the largest expected."""
    if expected.numel() == 0:
        return 0.0
    scale = expected.abs().max().clamp_min(1e-12)
    return float(((found - expected).abs() > tolerance * scale).double().mean())
