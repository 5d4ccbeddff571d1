"""Cameras as something to optimise: SE(3) increments and focal lengths around a starting point."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.optim.camera_motion import MotionFrame, move_cameras


class CameraParameters(nn.Module):
    """Increments over given cameras: `cam_from_world = exp(increment) @ start`, `focal = start * exp(log_focal)`.

    What is known stays fixed. Where no pose is known the first view's stays fixed too, since moving all cameras
    together changes nothing. Translations count in units of `scene_depth`, so that one learning rate suits every scene.

    Args:
        cameras: where to start, pinholes.
        scene_depth: a typical depth in scene units.
    """

    free_pose: Tensor
    free_focal: Tensor

    def __init__(self, cameras: Cameras, *, scene_depth: float, refine_poses: bool, refine_focal: bool) -> None:
        super().__init__()
        self.start = cameras.to(torch.float64)
        self.scene_depth = scene_depth
        free = [refine_poses and not known for known in cameras.pose_known]
        if all(not known for known in cameras.pose_known) and free:
            free[0] = False
        groups = sorted(set(cameras.groups))
        self.group_of_view = [groups.index(g) for g in cameras.groups]
        free_group = [
            refine_focal
            and not any(k for k, g in zip(cameras.intrinsics_known, cameras.groups, strict=True) if g == group)
            for group in groups
        ]
        self.register_buffer("free_pose", torch.tensor(free, dtype=torch.float64))
        self.register_buffer("free_focal", torch.tensor(free_group, dtype=torch.float64))
        self.translation = nn.Parameter(torch.zeros(len(cameras), 3, dtype=torch.float64))
        self.rotation = nn.Parameter(torch.zeros(len(cameras), 3, dtype=torch.float64))
        self.log_focal = nn.Parameter(torch.zeros(len(groups), dtype=torch.float64))
        unit = self.free_pose.numpy()
        self._frame = MotionFrame(
            self.start.cam_from_world.numpy(),
            self.start.K.numpy(),
            unit * scene_depth,
            unit,
            self.free_focal.numpy(),
            tuple(self.group_of_view),
        )
        self._selected: dict[tuple[int, ...], Cameras] = {}

    def increments(self) -> Float[Tensor, "view 4 4"]:
        """SE(3) increments in the camera frame, the identity for what is fixed."""
        free = self.free_pose[:, None]
        return se3.se3_exp(torch.cat([self.translation * free * self.scene_depth, self.rotation * free], dim=1))

    def focal_factors(self) -> Float[Tensor, " view"]:
        """By how much each view's focal length has changed."""
        return (self.log_focal * self.free_focal).exp()[self.group_of_view]

    def forward(self, views: list[int]) -> Cameras:
        """The current cameras of some views, in float32, differentiable."""
        chosen = tuple(views)
        if chosen not in self._selected:
            start = self.start.select(chosen)
            self._selected[chosen] = start.replace(distortion=start.distortion.float())
        moved, K = move_cameras(self.translation, self.rotation, self.log_focal, self._frame, chosen)
        return self._selected[chosen].replace(cam_from_world=moved.float(), K=K.float())

    @torch.no_grad()
    def apply_to(self, cameras: Cameras) -> Cameras:
        """The same changes applied to other versions of the same views, such as the full-size ones."""
        moved = self.increments() @ cameras.cam_from_world.double()
        rotation = se3.nearest_rotation(moved[:, :3, :3])
        return cameras.replace(
            cam_from_world=se3.compose(rotation, moved[:, :3, 3]).to(cameras.cam_from_world.dtype),
            K=_scale_focal(cameras.K, self.focal_factors().to(cameras.K.dtype)),
        )


def _scale_focal(K: Float[Tensor, "view 3 3"], factors: Float[Tensor, " view"]) -> Float[Tensor, "view 3 3"]:
    scale = torch.ones_like(K)
    scale[:, 0, 0] = 0
    scale[:, 1, 1] = 0
    focal = torch.diag_embed(
        torch.stack([factors * K[:, 0, 0], factors * K[:, 1, 1], torch.zeros_like(factors)], dim=1)
    )
    return K * scale + focal
