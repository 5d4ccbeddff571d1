"""Rendered depth is to have the prior's relief, whatever its scale, and the photo's structure.

Absolute depth of a prior may be off by a scale and a shift, in each view or each region its own; what is nearer than what
is not. FSGS (Zhu et al. 2024, its depth regularisation) maximises the Pearson correlation of rendered depth with the
prior's, SparseGS (Xiong et al. 2023, its patch-based depth correlation loss) that of patches, so that a distant error of
scale does not count; both are weighted by the prior's confidence here. After the relative guidance of RDG-GS (Zhan et al.
2025), the similarity of any two patches of rendered depth may in addition be held to that of the same two patches of the
photo: what looks alike bends alike. Its features are learned ones; here they are colours and gradients.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.optim.terms.interface import Step, Term
from sparse3d.optim.terms.reduced import prior_depth, reduce_image, rendered_depth
from sparse3d.render.rasterise import RenderOutput

MIN_RELIEF = 0.003
"""Relative spread of depth below which a region is flat, and its correlation says nothing: noise of a good prior."""
MIN_CONTRAST = 0.02
"""The same of the photo's colours and gradients."""


@dataclass(frozen=True)
class RelativeDepthConfig:
    """Settings of `RelativeDepth`.

    Attributes:
        weight: of the correlation over the whole photo; 0 turns it off.
        patch_weight: of the mean correlation of patches; 0 turns it off.
        structure_weight: of the agreement of patches' similarities in depth and in the photo; 0 turns it off.
        patch: side of a patch, in reduced pixels; their grid lies elsewhere in each step.
        reduction: side of the squares of pixels over which maps are averaged first.
    """

    weight: float = 0.0
    patch_weight: float = 0.0
    structure_weight: float = 0.0
    patch: int = 8
    reduction: int = 4

    def __post_init__(self) -> None:
        if min(self.weight, self.patch_weight, self.structure_weight) < 0:
            raise ValueError("relative_depth: weights must not be negative")
        if self.patch < 2 or self.reduction < 1:
            raise ValueError(
                f"relative_depth: patch={self.patch} must be at least 2 and reduction={self.reduction} at least 1"
            )

    @property
    def on(self) -> bool:
        return max(self.weight, self.patch_weight, self.structure_weight) > 0


class RelativeDepth(Term):
    """Correlation of rendered depth with the prior's and with the photo's structure."""

    def __init__(self, config: RelativeDepthConfig) -> None:
        self.config = config

    def loss(self, step: Step, output: RenderOutput) -> Float[Tensor, ""]:
        """Of inverse depth: what is far would else outweigh all that is near."""
        c = self.config
        depth, covered = rendered_depth(output, c.reduction)
        prior, confidence = prior_depth(step, c.reduction)
        found, known = inverse(depth), inverse(prior)
        sure = confidence * covered
        loss = found.new_zeros(())
        if c.weight > 0:
            whole = correlation(found.reshape(1, -1), known.reshape(1, -1), sure.reshape(1, -1), MIN_RELIEF)
            loss = loss + c.weight * (1 - whole.mean())
        corner = [int(i) for i in torch.randint(c.patch, (2,), generator=step.generator)]
        x, y, weights = (cut(m[..., None], c.patch, corner)[..., 0] for m in (found, known, sure))
        if c.patch_weight > 0:
            each, share = correlation(x, y, weights, MIN_RELIEF), weights.mean(1)
            loss = loss + c.patch_weight * (share * (1 - each)).sum() / share.sum().clamp(min=1e-6)
        if c.structure_weight > 0:
            features = image_features(reduce_image(step.prior.images[step.view], c.reduction))
            alike = similarity(cut(features, c.patch, corner).flatten(1), MIN_CONTRAST)
            seen = cut(covered[..., None], c.patch, corner)[..., 0].amin(1)
            loss = loss + c.structure_weight * structure_loss(x, seen, alike)
        return loss


def inverse(depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """1 / depth, and 0 where it is unknown."""
    known = depth > 0
    return torch.where(known, 1 / torch.where(known, depth, 1.0), 0.0)


def cut(values: Float[Tensor, "h w c"], side: int, corner: list[int]) -> Float[Tensor, "m k c"]:
    """Square patches side by side from a corner (y, x) on; what does not fill one is left out."""
    values = values[corner[0] :, corner[1] :]
    rows, columns = values.shape[0] // side, values.shape[1] // side
    grid = values[: rows * side, : columns * side].reshape(rows, side, columns, side, -1)
    return grid.transpose(1, 2).reshape(rows * columns, side * side, -1)


def correlation(
    x: Float[Tensor, "m k"], y: Float[Tensor, "m k"], weights: Float[Tensor, "m k"], least: float
) -> Float[Tensor, " m"]:
    """Weighted Pearson correlation of each row.

    Args:
        x, y: positive figures; only their relative spread counts.
        weights: of the pairs; a row without any has correlation 0.
        least: relative spread below which a row is flat: its correlation and its gradients go to 0.
    """
    total = weights.sum(1, keepdim=True).clamp(min=1e-6)

    def mean(values: Float[Tensor, "m k"]) -> Float[Tensor, "m 1"]:
        return (weights * values).sum(1, keepdim=True) / total

    def relative(values: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
        middle = mean(values)
        return values / torch.where(middle > 0, middle, 1.0) - 1

    x, y = relative(x), relative(y)
    spread = (mean(x * x) + least**2).sqrt() * (mean(y * y) + least**2).sqrt()
    return (mean(x * y) / spread)[:, 0]


def image_features(image: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 5"]:
    """Colour, and how fast the brightness grows to the right and downwards."""
    grey = torch.nn.functional.pad(image.mean(-1)[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    right = grey[1:-1, 2:] - grey[1:-1, :-2]
    down = grey[2:, 1:-1] - grey[:-2, 1:-1]
    return torch.cat([image, right[..., None], down[..., None]], -1)


def similarity(descriptors: Float[Tensor, "m d"], least: float) -> Float[Tensor, "m m"]:
    """Squared cosines between descriptors less their mean: nearer or farther, brighter or darker is all one."""
    centred = descriptors - descriptors.mean(1, keepdim=True)
    norm = (centred.square().mean(1, keepdim=True) + least**2).sqrt() * descriptors.shape[1] ** 0.5
    unit = centred / norm
    return (unit @ unit.T).square()


def structure_loss(
    inverse_depth: Float[Tensor, "m k"], seen: Float[Tensor, " m"], alike: Float[Tensor, "m m"]
) -> Float[Tensor, ""]:
    """How far the patches' similarities in depth are from those in the photo, as 1 - their correlation.

    Args:
        inverse_depth: the patches of rendered depth.
        seen: share of each that is covered; pairs weigh by both.
        alike: their similarities in the photo.
    """
    middle = inverse_depth.mean(1, keepdim=True)
    found = similarity(inverse_depth / torch.where(middle > 0, middle, 1.0), MIN_RELIEF)
    pairs = seen[:, None] * seen[None] * (1 - torch.eye(len(seen), dtype=seen.dtype, device=seen.device))
    # A similarity and its like are figures in [0, 1]: their mean, too, may be near 0, so that 1 is added to both.
    return 1 - correlation(1 + found.reshape(1, -1), 1 + alike.reshape(1, -1), pairs.reshape(1, -1), 1e-3).mean()
