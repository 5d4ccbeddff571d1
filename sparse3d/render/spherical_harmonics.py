"""Real spherical harmonics of degree 0 to 3, in the order and signs of Kerbl et al. 2023 (Sloan 2008, appendix A2)."""

import torch
from jaxtyping import Float
from torch import Tensor

_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
_C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


def sh_basis(directions: Float[Tensor, "n 3"], count: int) -> Float[Tensor, "n k"]:
    """The first 1, 4, 9 or 16 basis functions at unit directions."""
    if count not in (1, 4, 9, 16):
        raise ValueError(f"{count} spherical-harmonics coefficients: expected 1, 4, 9 or 16")
    x, y, z = directions.unbind(1)
    basis = [torch.full_like(x, 0.28209479177387814)]
    if count >= 4:
        basis += [-_C1 * y, _C1 * z, -_C1 * x]
    if count >= 9:
        a, b, c = _C2
        basis += [a * x * y, -a * y * z, b * (2 * z * z - x * x - y * y), -a * x * z, c * (x * x - y * y)]
    if count >= 16:
        a, b, c, d, e = _C3
        basis += [
            -a * y * (3 * x * x - y * y),
            b * x * y * z,
            -c * y * (4 * z * z - x * x - y * y),
            d * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -c * x * (4 * z * z - x * x - y * y),
            e * z * (x * x - y * y),
            -a * x * (x * x - 3 * y * y),
        ]
    return torch.stack(basis, 1)


def sh_colours(sh: Float[Tensor, "n k 3"], offsets: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Colours max(0, SH + 0.5) seen along `offsets`, the vectors from the camera's centre to the Gaussians."""
    directions = offsets / offsets.norm(dim=1, keepdim=True).clamp_min(1e-15)
    basis = sh_basis(directions, sh.shape[1])
    return ((basis[:, :, None] * sh).sum(1) + 0.5).clamp_min(0)
