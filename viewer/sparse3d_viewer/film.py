"""The camera path's part of the panel: key frames are added where the eye is, and rendered to a film."""

import logging
import threading
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sparse3d.core.cameras import Cameras
from sparse3d.io.video import write_mp4
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.drawing import DEPTH, PICTURES, RENDERED, common_range, draw, draw_figures, measure_depth
from sparse3d_viewer.eye import Eye, camera_of
from sparse3d_viewer.keyframes import Keyframe, path
from sparse3d_viewer.session import Session
from sparse3d_viewer.subject import Subject, subject_of

log = logging.getLogger(__name__)

FPS = 24
MAX_HEIGHT = 720
COLOUR = (38, 110, 220)


class FilmTool:
    """The folder of the panel and what it does.

    Attributes:
        keyframes: of all visitors together.
    """

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._server, self._session = server, session
        self.keyframes: list[Keyframe] = []
        self._busy = threading.Lock()
        with server.gui.add_folder("Camera path", expand_by_default=True):
            self.add = server.gui.add_button("Add key frame", hint="Here, as you look now")
            self.clear = server.gui.add_button("Clear path", disabled=True)
            self.seconds = server.gui.add_slider("Seconds", min=1.0, max=30.0, step=0.5, initial_value=5.0)
            self.render = server.gui.add_button("Render film (MP4)", disabled=True)
            self.progress = server.gui.add_progress_bar(0.0, visible=False)
        self.add.on_click(self._add)
        self.clear.on_click(self._clear)
        self.render.on_click(self._render)

    def _add(self, event: viser.GuiEvent) -> None:
        if event.client is not None:
            self.keyframes.append(Keyframe.of(Eye.of(event.client.camera)))
            self._refresh()

    def _clear(self, _event: viser.GuiEvent) -> None:
        self.keyframes.clear()
        self._refresh()

    def _refresh(self) -> None:
        count = len(self.keyframes)
        self.add.label = f"Add key frame ({count} so far)" if count else "Add key frame"
        self.clear.disabled = count == 0
        self.render.disabled = count < 2
        if count < 2:
            self._server.scene.remove_by_name("/path")
            return
        points = np.stack([eye.position for eye in path(self.keyframes, 20 * count, (2, 2))])
        self._server.scene.add_line_segments(
            "/path", np.stack([points[:-1], points[1:]], 1), colors=COLOUR, thickness=2.0, thickness_units="screen"
        )

    def _render(self, event: viser.GuiEvent) -> None:
        if event.client is None or not self._busy.acquire(blocking=False):
            return
        try:
            self.render.disabled, self.progress.visible = True, True
            content = self._film(Eye.of(event.client.camera).size)
            event.client.send_file_download("path.mp4", content, save_immediately=True)
        finally:
            self.progress.visible, self.progress.value = False, 0.0
            self.render.disabled = len(self.keyframes) < 2
            self._busy.release()

    def _film(self, window: tuple[int, int]) -> bytes:
        """Every frame at the window's shape, at most `MAX_HEIGHT` high, in even numbers of pixels as codecs want."""
        factor = min(1.0, MAX_HEIGHT / window[1])
        width, height = (max(2, 2 * round(side * factor / 2)) for side in window)
        eyes = path(list(self.keyframes), max(2, round(FPS * self.seconds.value)), (width, height))
        return write_mp4(self._frames(eyes), (width, height), FPS)

    def _frames(self, eyes: list[Eye]) -> Iterator[NDArray[np.uint8]]:
        paint, frame = self._painter(eyes), self._session.run.scene.frame
        for i, eye in enumerate(eyes):
            yield paint(camera_of(eye, frame, eye.size))
            self.progress.value = 100 * (i + 1) / len(eyes)

    def _painter(self, eyes: list[Eye]) -> Callable[[Cameras], NDArray[np.uint8]]:
        """How a camera's picture is made in the layer that is shown; depths have one scale in all of them."""
        session, state = self._session, self._session.state
        run, scale = session.run, session.scale(state.layer)
        if state.layer not in PICTURES and not (state.per_pixel and state.layer in run.recolours):
            scene = session.scene(state, painted=True)
            splats = Subject(scene, scene.gaussians.activate(), run.scene.frame)
            return lambda camera: draw(splats, camera, RENDERED, state.background)
        subject, depth_range = subject_of(session, state, state.run), None
        if scale is not None:
            return lambda camera: draw_figures(subject, camera, state.layer, scale, state.background)
        if state.layer == DEPTH:
            some = [camera_of(eye, subject.frame, eye.size) for eye in eyes[::FPS]]
            depth_range = common_range([measure_depth(subject, camera)[0] for camera in some])
        return lambda camera: draw(subject, camera, state.layer, state.background, depth_range=depth_range)
