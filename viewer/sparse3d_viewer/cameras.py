"""The photos' cameras in the scene of one visitor: drawn, hidden where they are in the way, looked through."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer.dependency import viser
from sparse3d_viewer.scene import DisplayScene, Viewpoint

FRUSTUM_COLOUR = (38, 110, 220)
CHOSEN_COLOUR = (240, 140, 0)

HIDE_WITHIN = 3.0
"""A camera is hidden while the visitor's eye is nearer to it than this many times its drawn size: from there its
photo would cover the view."""

STILL_THERE = 1e-3
"""A visitor who moved less than this part of the distance to the scene has not left the photo's place."""


class Visitor:
    """One visitor's eye, and the frusta that this visitor sees: which one is hidden depends on the eye."""

    def __init__(
        self,
        client: viser.ClientHandle,
        scene: DisplayScene,
        thumbnails: Mapping[str, NDArray[np.uint8]],
        on_click: Callable[[viser.ClientHandle, int], None],
    ) -> None:
        self._client = client
        self._scene = scene
        self._shown = True
        self._through: Viewpoint | None = None
        self._arrived = False  # a message about where the eye was before may still be on its way
        self._frusta = [self._add(i, v, thumbnails.get(v.name), on_click) for i, v in enumerate(scene.viewpoints)]
        client.camera.on_update(self.refresh)

    def _add(
        self,
        index: int,
        viewpoint: Viewpoint,
        thumbnail: NDArray[np.uint8] | None,
        on_click: Callable[[viser.ClientHandle, int], None],
    ) -> viser.CameraFrustumHandle:
        frustum = self._client.scene.add_camera_frustum(
            f"/cameras/{index:03d}",  # the photo's name could hold a slash, which would nest the node
            fov=viewpoint.fov_y_rad,
            aspect=viewpoint.aspect,
            scale=self._scene.frustum_size,
            thickness=0.03 * self._scene.frustum_size,
            color=FRUSTUM_COLOUR,
            image=thumbnail,
            jpeg_quality=85,
            wxyz=viewpoint.wxyz,
            position=viewpoint.position,
            cast_shadow=False,
            receive_shadow=False,
        )

        @frustum.on_click
        def _(_event: viser.SceneNodePointerEvent) -> None:
            on_click(self._client, index)

        return frustum

    def set_shown(self, shown: bool) -> None:
        """Show or hide all of them."""
        self._shown = shown
        self._hide_nearby(self._client.camera)

    def look_through(self, index: int) -> None:
        """Put the eye where a photo was taken, rolled as the photo was, with the whole photo in the window."""
        viewpoint, camera = self._scene.viewpoints[index], self._client.camera
        self._through, self._arrived = viewpoint, False
        with self._client.atomic():
            camera.up_direction = viewpoint.up
            camera.position = viewpoint.position
            camera.look_at = viewpoint.target
            camera.fov = viewpoint.fov_y_for(camera.aspect)
        for other, frustum in enumerate(self._frusta):
            frustum.color = CHOSEN_COLOUR if other == index else FRUSTUM_COLOUR
        self._hide_nearby(camera)

    def refresh(self, camera: viser.CameraHandle) -> None:
        """React to a move of the eye or a new size of the window; viser calls it on both.

        The whole photo stays in a window that changes its shape (as it does right after the page has opened, when the
        panel unfolds), until the visitor walks away from the photo.
        """
        self._hide_nearby(camera)
        through = self._through
        if through is None:
            return
        if np.linalg.norm(camera.position - through.position) <= STILL_THERE * through.distance:
            self._arrived = True
            camera.fov = through.fov_y_for(camera.aspect)
        elif self._arrived:
            self._through = None

    def _hide_nearby(self, camera: viser.CameraHandle) -> None:
        """Hide the cameras that stand in the visitor's way, show the others."""
        for frustum, viewpoint in zip(self._frusta, self._scene.viewpoints, strict=True):
            gap = float(np.linalg.norm(camera.position - viewpoint.position))
            visible = self._shown and gap > HIDE_WITHIN * self._scene.frustum_size
            if frustum.visible != visible:
                frustum.visible = visible
