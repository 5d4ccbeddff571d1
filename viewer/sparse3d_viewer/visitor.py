"""One visitor: where the eye is, the photos' cameras as this visitor sees them, and the picture over the scene."""

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer.dependency import viser
from sparse3d_viewer.eye import Eye
from sparse3d_viewer.flight import FLIGHT_S, flight
from sparse3d_viewer.keyframes import Keyframe
from sparse3d_viewer.session import Rgb, Session, ViewState
from sparse3d_viewer.viewpoint import Viewpoint

FRUSTUM_COLOUR = (38, 110, 220)
CHOSEN_COLOUR = (240, 140, 0)
PLACE_COLOUR = (194, 24, 91)
"""Of the cameras that nobody has placed yet: where the next photos should be taken."""

HIDE_WITHIN = 3.0
"""A camera is hidden while the visitor's eye is nearer to it than this many times its drawn size: from there its
photo would cover the view."""

STILL_THERE = 1e-3
"""A visitor who moved less than this part of the distance to the scene has not left the photo's place."""

COVER_DEPTH = 0.02
"""A picture over the scene stands this far before the eye, in display units: behind the near plane, before all else."""

WALK_DISTANCE = 0.05
"""While walking the eye turns about a point this near, in display units: dragging the mouse turns the head."""


class Visitor:
    """One visitor's eye, and the frusta that this visitor sees: which one is hidden depends on the eye.

    Attributes:
        moved_at: `time.monotonic()` of the eye's last move.
        painted: what the picture over the scene shows; for whoever paints it.
    """

    def __init__(
        self, client: viser.ClientHandle, session: Session, on_click: Callable[[viser.ClientHandle, str], None]
    ) -> None:
        self.client, self.moved_at = client, time.monotonic()
        self.painted: object = None
        self._session, self._on_click = session, on_click
        self._through: Viewpoint | None = None
        self._arrived, self._left = False, False  # at the place of that photo, and gone from there again
        self._run, self._shown, self._places_shown = -1, True, True
        self._frusta: list[viser.CameraFrustumHandle] = []
        self._ghosts: list[viser.CameraFrustumHandle] = []
        self._lock = threading.RLock()
        client.camera.on_update(self.refresh)

    @property
    def eye(self) -> Eye:
        """From where this visitor looks now."""
        return Eye.of(self.client.camera)

    @property
    def through(self) -> str:
        """Name of the photo whose place the visitor has not left; empty where there is none."""
        return "" if self._through is None or self._left else self._through.name

    def follow(self, state: ViewState) -> None:
        """Show what the page shows."""
        with self._lock:
            self._shown, self._places_shown = state.cameras, state.places
            if state.run != self._run:
                self._run = state.run
                for frustum in (*self._frusta, *self._ghosts):
                    frustum.remove()
                self._frusta = [self._add(i, v) for i, v in enumerate(self._viewpoints)]
                self._ghosts = [self._add_place(v) for v in self._session.run.places]
                self._colour_chosen()
            self._hide_nearby(self.client.camera)

    def look_through(self, name: str, *, at_once: bool = False) -> None:
        """Fly the eye to where a photo was taken, rolled as the photo was, with the whole photo in the window.

        Args:
            name: of a photo, or of a place for the next one.
            at_once: be there without a flight.
        """
        viewpoint = next((v for v in (*self._viewpoints, *self._session.run.places) if v.name == name), None)
        if viewpoint is None:
            return
        camera = self.client.camera
        goal = Keyframe(viewpoint.position, viewpoint.wxyz, viewpoint.fov_y_for(camera.aspect))
        with self._lock:
            self._through, self._arrived, self._left = viewpoint, False, False
            self._colour_chosen()
        way = [goal] if at_once else flight(Keyframe.of(self.eye), goal)
        for place in way:
            with self._lock:
                if self._through is not viewpoint:
                    return  # somebody wants to be elsewhere by now
                self._stand(place, viewpoint.distance)
            if place is not goal:
                time.sleep(FLIGHT_S / len(way))
        with self._lock:
            if self._through is viewpoint:  # the window may have changed its shape meanwhile
                camera.fov = viewpoint.fov_y_for(camera.aspect)
            self._hide_nearby(camera)

    def _stand(self, place: Keyframe, distance: float) -> None:
        """Put the eye somewhere, to be turned about a point at a distance before it."""
        camera, rotation = self.client.camera, place.rotation
        with self.client.atomic():
            camera.up_direction = -rotation[:, 1]
            camera.position = place.position
            camera.look_at = place.position + distance * rotation[:, 2]
            camera.fov = place.fov_y_rad

    def turn_about(self, distance: float) -> None:
        """Let the mouse turn the eye about a point so far before it."""
        camera = self.client.camera
        forward = self.eye.rotation[:, 2]
        camera.look_at = camera.position + distance * forward

    def refresh(self, camera: viser.CameraHandle) -> None:
        """React to a move of the eye or a new size of the window; viser calls it on both.

        The whole photo stays in a window that changes its shape (as it does right after the page has opened, when the
        panel unfolds), until the visitor walks away from the photo. Messages about where the eye was before may come
        late, also after some about where it was put; so an eye that is found at the photo's place never left it.
        """
        self.moved_at = time.monotonic()
        with self._lock:
            self._hide_nearby(camera)
            through = self._through
            if through is None:
                return
            if np.linalg.norm(camera.position - through.position) <= STILL_THERE * through.distance:
                self._arrived, self._left = True, False
                camera.fov = through.fov_y_for(camera.aspect)
            elif self._arrived:
                self._left = True

    def cover(self, picture: NDArray[np.uint8]) -> None:
        """Lay a picture (h w 3) over the whole scene."""
        depth = np.full((2, 2), COVER_DEPTH)
        self.client.scene.set_background_image(picture, format="jpeg", jpeg_quality=92, depth=depth)

    def uncover(self, background: Rgb) -> None:
        """Show the scene again, before a plain colour."""
        self.client.scene.set_background_image(np.full((2, 2, 3), background, np.uint8), format="png")

    @property
    def _viewpoints(self) -> tuple[Viewpoint, ...]:
        return self._session.run.scene.viewpoints

    def _add(self, index: int, viewpoint: Viewpoint) -> viser.CameraFrustumHandle:
        run = self._session.run
        frustum = self.client.scene.add_camera_frustum(
            f"/cameras/{index:03d}",  # the photo's name could hold a slash, which would nest the node
            fov=viewpoint.fov_y_rad,
            aspect=viewpoint.aspect,
            scale=run.scene.frustum_size,
            thickness=0.03 * run.scene.frustum_size,
            color=FRUSTUM_COLOUR,
            image=run.loaded.thumbnails.get(viewpoint.name),
            jpeg_quality=85,
            wxyz=viewpoint.wxyz,
            position=viewpoint.position,
            cast_shadow=False,
            receive_shadow=False,
        )

        @frustum.on_click
        def _(_event: viser.SceneNodePointerEvent) -> None:
            self._on_click(self.client, viewpoint.name)

        return frustum

    def _add_place(self, place: Viewpoint) -> viser.CameraFrustumHandle:
        """A camera without a photo, and its name above it."""
        size, scene = self._session.run.scene.frustum_size, self.client.scene
        ghost = scene.add_camera_frustum(
            f"/places/{place.name}",
            fov=place.fov_y_rad,
            aspect=place.aspect,
            scale=size,
            thickness=0.03 * size,
            color=PLACE_COLOUR,
            wxyz=place.wxyz,
            position=place.position,
            cast_shadow=False,
            receive_shadow=False,
        )
        scene.add_label(f"/places/{place.name}/name", place.name, position=(0.0, -0.6 * size, 0.0))

        @ghost.on_click
        def _(_event: viser.SceneNodePointerEvent) -> None:
            self._on_click(self.client, place.name)

        return ghost

    def _colour_chosen(self) -> None:
        for viewpoint, frustum in zip(self._viewpoints, self._frusta, strict=True):
            frustum.color = CHOSEN_COLOUR if viewpoint.name == self.through else FRUSTUM_COLOUR

    def _hide_nearby(self, camera: viser.CameraHandle) -> None:
        """Hide the cameras that stand in the visitor's way, show the others."""
        drawn = [(f, v, self._shown) for f, v in zip(self._frusta, self._viewpoints, strict=False)]
        drawn += [(f, v, self._places_shown) for f, v in zip(self._ghosts, self._session.run.places, strict=False)]
        for frustum, viewpoint, wanted in drawn:
            gap = float(np.linalg.norm(camera.position - viewpoint.position))
            visible = wanted and gap > HIDE_WITHIN * self._session.run.scene.frustum_size
            if frustum.visible != visible:
                frustum.visible = visible
