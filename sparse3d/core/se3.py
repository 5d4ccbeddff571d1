"""Rigid and similarity transforms, rotations and quaternions (wxyz), all batched over leading dimensions."""

import torch
from jaxtyping import Float
from torch import Tensor

SMALL_ANGLE_RAD = 1e-4
"""Below this angle the exponential map uses its Taylor series, whose next term is under 1e-17."""


def transform_points(target_from_source: Float[Tensor, "*b 4 4"], points_source: Float[Tensor, "*b n 3"]) -> Tensor:
    """Apply an affine 4x4 transform to points: `points_target = target_from_source @ points_source`."""
    rotation, translation = target_from_source[..., :3, :3], target_from_source[..., :3, 3]
    return points_source @ rotation.transpose(-1, -2) + translation[..., None, :]


def invert(target_from_source: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
    """Invert a rigid transform."""
    rotation_t = target_from_source[..., :3, :3].transpose(-1, -2)
    translation = -(rotation_t @ target_from_source[..., :3, 3:])
    return compose(rotation_t, translation[..., 0])


def compose(rotation: Float[Tensor, "*b 3 3"], translation: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4 4"]:
    """Build the 4x4 transform `x -> rotation @ x + translation`."""
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 0, 3] = 1
    return torch.cat([top, bottom], dim=-2)


def hat(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """The skew-symmetric matrix with `hat(a) @ b = a x b`."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*vector.shape[:-1], 3, 3)


def so3_exp(omega: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rodrigues' formula: the rotation by |omega| radians about omega. Differentiable at zero."""
    a, b, _ = _exp_coefficients(omega)
    k = hat(omega)
    eye = torch.eye(3, dtype=omega.dtype, device=omega.device)
    return eye + a[..., None] * k + b[..., None] * (k @ k)


def se3_exp(tangent: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 4 4"]:
    """Exponential map of SE(3); the tangent is (translation, rotation vector in radians). Differentiable at zero."""
    rho, omega = tangent[..., :3], tangent[..., 3:]
    _, b, c = _exp_coefficients(omega)
    k = hat(omega)
    eye = torch.eye(3, dtype=tangent.dtype, device=tangent.device)
    left_jacobian = eye + b[..., None] * k + c[..., None] * (k @ k)
    return compose(so3_exp(omega), (left_jacobian @ rho[..., None])[..., 0])


def _exp_coefficients(omega: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """sin(t)/t, (1-cos t)/t^2 and (t-sin t)/t^3 for t = |omega|, each with a trailing dimension of one."""
    square = (omega * omega).sum(-1, keepdim=True)
    small = square < SMALL_ANGLE_RAD**2
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    a = torch.where(small, 1 - square / 6, angle.sin() / angle)
    b = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / safe)
    c = torch.where(small, 1 / 6 - square / 120, (angle - angle.sin()) / (safe * angle))
    return a, b, c


def rotation_angle_deg(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Angle of a rotation in degrees, in [0, 180]; accurate for small angles too."""
    trace = rotation.diagonal(dim1=-2, dim2=-1).sum(-1)
    skew = rotation - rotation.transpose(-1, -2)
    sine = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1).norm(dim=-1) / 2
    return torch.rad2deg(torch.atan2(sine, (trace - 1) / 2))


def nearest_rotation(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The rotation closest to a matrix in Frobenius norm (orthogonal Procrustes)."""
    u, _, vt = torch.linalg.svd(matrix)
    sign = torch.ones_like(matrix[..., 0])
    sign[..., 2] = torch.linalg.det(u @ vt)
    return (u * sign[..., None, :]) @ vt


def quat_wxyz_to_rotation(quats_wxyz: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of quaternions, which need not be normalised."""
    w, x, y, z = torch.nn.functional.normalize(quats_wxyz, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*w.shape, 3, 3)


def rotation_to_quat_wxyz(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions with w >= 0 of rotation matrices (Shepperd's method: the best-conditioned of four forms)."""
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    zy, xz, yx = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    sxy, sxz, syz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    forms = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, zy, xz, yx], -1),
            torch.stack([zy, 1 + xx - yy - zz, sxy, sxz], -1),
            torch.stack([xz, sxy, 1 - xx + yy - zz, syz], -1),
            torch.stack([yx, sxz, syz, 1 - xx - yy + zz], -1),
        ],
        dim=-2,
    )
    best = forms.diagonal(dim1=-2, dim2=-1).argmax(-1)
    quats = forms.gather(-2, best[..., None, None].expand(*best.shape, 1, 4))[..., 0, :]
    quats = torch.nn.functional.normalize(quats, dim=-1)
    return torch.where(quats[..., :1] < 0, -quats, quats)


def sim3_from_cameras(
    source_from_cam: Float[Tensor, "n 4 4"], target_from_cam: Float[Tensor, "n 4 4"]
) -> tuple[Tensor, Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """Similarity `target = scale * rotation @ source + translation` that best aligns two sets of the same cameras.

    The rotation comes from the cameras' orientations and scale and translation from their centres, which is well posed
    from two cameras up, unlike the alignment of centres alone (Umeyama 1991), which needs three that are not in line.

    Raises:
        ValueError: fewer than two cameras, or all source centres coincide.
    """
    if len(source_from_cam) < 2:
        raise ValueError("aligning cameras needs at least two of them")
    rotation = nearest_rotation((target_from_cam[:, :3, :3] @ source_from_cam[:, :3, :3].transpose(-1, -2)).sum(0))
    source = source_from_cam[:, :3, 3] @ rotation.T
    target = target_from_cam[:, :3, 3]
    source_mean, target_mean = source.mean(0), target.mean(0)
    spread = ((source - source_mean) ** 2).sum()
    if spread <= 0:
        raise ValueError("the camera centres coincide: scale is undefined")
    scale = ((source - source_mean) * (target - target_mean)).sum() / spread
    return scale, rotation, target_mean - scale * source_mean


def apply_sim3_to_cameras(
    cam_from_source: Float[Tensor, "n 4 4"],
    scale: Tensor,
    rotation: Float[Tensor, "3 3"],
    translation: Float[Tensor, "3"],
) -> Float[Tensor, "n 4 4"]:
    """Rigid cameras in the target frame of `target = scale * rotation @ source + translation`."""
    source_from_cam = invert(cam_from_source)
    centres = scale * source_from_cam[:, :3, 3] @ rotation.T + translation
    return invert(compose(rotation @ source_from_cam[:, :3, :3], centres))
