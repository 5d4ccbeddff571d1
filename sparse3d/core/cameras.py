"""Cameras: poses, intrinsics, distortion, and what of them is known.

Axes are OpenCV's (x right, y down, z forward); the top-left corner of the image is (0, 0), so that pixel centres lie at
+0.5; `points_cam = cam_from_world @ points_world`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.core import se3


@dataclass(frozen=True)
class Cameras:
    """Some views of one scene.

    Attributes:
        cam_from_world: rigid transforms, float64 by default. A pose that nobody knows yet is NaN.
        K: intrinsics in pixels of the image at hand. NaN where nobody knows them yet.
        sizes: (width, height) in pixels, one a view.
        distortion: OpenCV's k1, k2, p1, p2; zeros for a pinhole.
        names: the photos' file names, unique.
        groups: views with the same number share their intrinsics.
        pose_known, intrinsics_known: what was given by the user and stays fixed.
    """

    cam_from_world: Float[Tensor, "view 4 4"]
    K: Float[Tensor, "view 3 3"]
    sizes: tuple[tuple[int, int], ...]
    distortion: Float[Tensor, "view 4"]
    names: tuple[str, ...]
    groups: tuple[int, ...]
    pose_known: tuple[bool, ...]
    intrinsics_known: tuple[bool, ...]

    def __post_init__(self) -> None:
        count = len(self.cam_from_world)
        for name in ("K", "sizes", "distortion", "names", "groups", "pose_known", "intrinsics_known"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"Cameras: {count} poses but {len(getattr(self, name))} entries of {name}")

    def __len__(self) -> int:
        return len(self.sizes)

    @staticmethod
    def build(
        cam_from_world: Float[Tensor, "view 4 4"],
        K: Float[Tensor, "view 3 3"],
        sizes: Sequence[tuple[int, int]],
        *,
        distortion: Float[Tensor, "view 4"] | None = None,
        names: Sequence[str] | None = None,
        groups: Sequence[int] | None = None,
        pose_known: bool | Sequence[bool] = False,
        intrinsics_known: bool | Sequence[bool] = False,
    ) -> "Cameras":
        """Cameras with the usual defaults: no distortion, numbered names, each view its own group."""
        count = len(cam_from_world)
        flags = [(flag,) * count if isinstance(flag, bool) else tuple(flag) for flag in (pose_known, intrinsics_known)]
        return Cameras(
            cam_from_world=cam_from_world,
            K=K,
            sizes=tuple((int(w), int(h)) for w, h in sizes),
            distortion=cam_from_world.new_zeros(count, 4) if distortion is None else distortion,
            names=tuple(f"{i:03d}" for i in range(count)) if names is None else tuple(names),
            groups=tuple(range(count)) if groups is None else tuple(groups),
            pose_known=flags[0],
            intrinsics_known=flags[1],
        )

    @staticmethod
    def from_opengl(
        world_from_gl: Float[Tensor, "view 4 4"], K: Float[Tensor, "view 3 3"], sizes: Sequence[tuple[int, int]], **rest
    ) -> "Cameras":
        """Cameras from camera-to-world matrices with OpenGL/Blender axes (x right, y up, z backward)."""
        flip = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=world_from_gl.dtype))
        return Cameras.build(se3.invert(world_from_gl @ flip), K, sizes, **rest)

    @property
    def world_from_cam(self) -> Float[Tensor, "view 4 4"]:
        return se3.invert(self.cam_from_world)

    @property
    def centres(self) -> Float[Tensor, "view 3"]:
        """Camera centres in the world."""
        return self.world_from_cam[:, :3, 3]

    @property
    def is_distorted(self) -> bool:
        return bool((self.distortion != 0).any())

    def select(self, indices: Sequence[int]) -> "Cameras":
        """Some of the views, in the order asked for."""
        picked = list(indices)
        values = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            values[field.name] = value[picked] if isinstance(value, Tensor) else tuple(value[i] for i in picked)
        return Cameras(**values)

    def replace(self, **changes) -> "Cameras":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> "Cameras":
        """The same cameras with their tensors in another dtype or on another device."""
        return self.replace(
            cam_from_world=self.cam_from_world.to(device, dtype),
            K=self.K.to(device, dtype),
            distortion=self.distortion.to(device, dtype),
        )

    def resized(self, sizes: Sequence[tuple[int, int]]) -> "Cameras":
        """The same views with their images scaled to new sizes: with centres at +0.5 pixels the intrinsics only scale."""
        scale = torch.tensor(
            [[new[0] / old[0], new[1] / old[1]] for new, old in zip(sizes, self.sizes, strict=True)],
            dtype=self.K.dtype,
            device=self.K.device,
        ).reshape(-1, 2)
        ones = torch.ones_like(scale[:, :1])
        return self.replace(
            K=self.K * torch.cat([scale, ones], 1)[:, :, None], sizes=tuple((int(w), int(h)) for w, h in sizes)
        )


def concatenate(parts: Sequence[Cameras]) -> Cameras:
    """Put sets of cameras behind one another; groups are renumbered so that they stay apart."""
    groups, offset = [], 0
    for part in parts:
        groups += [g + offset for g in part.groups]
        offset = max(groups, default=-1) + 1
    values = {}
    for field in dataclasses.fields(Cameras):
        columns = [getattr(p, field.name) for p in parts]
        if isinstance(columns[0], Tensor):
            values[field.name] = torch.cat(columns)
        else:
            values[field.name] = tuple(x for column in columns for x in column)
    values["groups"] = tuple(groups)
    return Cameras(**values)


def intrinsics_matrix(
    fx: float, fy: float, cx: float, cy: float, *, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "3 3"]:
    """The 3x3 intrinsics without skew, in pixels."""
    return torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=dtype)


def project(
    cameras: Cameras, points_world: Float[Tensor, "view n 3"]
) -> tuple[Float[Tensor, "view n 2"], Float[Tensor, "view n"]]:
    """Pinhole projection (distortion is not applied): pixel coordinates and z-depth of world points, view by view."""
    points_cam = se3.transform_points(cameras.cam_from_world, points_world)
    depth = points_cam[..., 2]
    homogeneous = points_cam @ cameras.K.transpose(-1, -2)
    return homogeneous[..., :2] / depth[..., None], depth


def pixel_grid(width: int, height: int, *, dtype: torch.dtype = torch.float64) -> Float[Tensor, "h w 2"]:
    """Coordinates (x, y) of all pixel centres."""
    ys, xs = torch.meshgrid(
        torch.arange(height, dtype=dtype) + 0.5, torch.arange(width, dtype=dtype) + 0.5, indexing="ij"
    )
    return torch.stack([xs, ys], dim=-1)


def unproject(depth: Float[Tensor, "view h w"], cameras: Cameras) -> Float[Tensor, "view h w 3"]:
    """Lift every pixel centre to world space (pinhole).

    Args:
        depth: z-depth along the camera's forward axis, in scene units; non-positive means unknown.
        cameras: one camera a view, at the depth maps' resolution.

    Returns:
        World points; NaN where the depth is unknown.

    Raises:
        ValueError: the number of views or an image size differs between the two.
    """
    views, height, width = depth.shape
    if views != len(cameras) or any(size != (width, height) for size in cameras.sizes):
        raise ValueError(f"depth of {views} views at {width}x{height} does not fit cameras of sizes {cameras.sizes}")
    pixels = pixel_grid(width, height, dtype=depth.dtype).to(depth.device)
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1).reshape(-1, 3)
    rays_cam = homogeneous @ torch.linalg.inv(cameras.K.to(depth.dtype)).transpose(-1, -2)
    points_cam = rays_cam * depth.reshape(views, -1, 1)
    world_from_cam = cameras.world_from_cam.to(depth.dtype)
    points = se3.transform_points(world_from_cam, points_cam).reshape(views, height, width, 3)
    return torch.where((depth > 0)[..., None], points, torch.full_like(points, torch.nan))
