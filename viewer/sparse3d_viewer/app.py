"""The application: a server with one scene and one panel, and what happens when somebody uses them."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparse3d.core.reconstruction import Reconstruction
from sparse3d_viewer.cameras import Visitor
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.panel import Panel, Summary, build_panel
from sparse3d_viewer.run import load_run
from sparse3d_viewer.scene import DisplayScene, build_scene

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

FAR_PLANE = 5000.0
"""In display units; a scene is a few units wide, its sky may be a thousand away."""

POINT_SIZE = 0.015
"""Diameter of a sparse point in display units."""


class _Server(viser.ViserServer):
    """viser's server without its tunnel to a public address, which any visitor could otherwise ask for."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        log.warning("a visitor asked to share this page publicly: refused")
        return None


class ViewerHandle:
    """A running page.

    Attributes:
        server: viser's, for those who want to add to the scene.
        scene: what is drawn, in display units.
        panel: the controls.
    """

    def __init__(self, server: viser.ViserServer, scene: DisplayScene, panel: Panel) -> None:
        self.server = server
        self.scene = scene
        self.panel = panel
        self._visitors: dict[int, Visitor] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        """Where the page is. Its port differs from the one asked for when that was taken."""
        host = self.server.get_host()
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{self.server.get_port()}"

    def wait(self) -> None:
        """Block until `stop` is called or the user presses Ctrl-C, which stops the server."""
        try:
            while not self._stopped.wait(timeout=1.0):
                pass
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Stop serving."""
        if not self._stopped.is_set():
            self._stopped.set()
            self.server.stop()

    def look_through(self, client: viser.ClientHandle, index: int) -> None:
        """Show a visitor the scene from a photo, by the photo's index among the viewpoints."""
        with self._lock:
            visitor = self._visitors.get(client.client_id)
        if visitor is not None:
            visitor.look_through(index)

    def visitors(self) -> list[Visitor]:
        """Everybody who looks at the page now."""
        with self._lock:
            return list(self._visitors.values())

    def admit(self, client_id: int, visitor: Visitor) -> None:
        """Note a visitor who came."""
        with self._lock:
            self._visitors[client_id] = visitor

    def dismiss(self, client_id: int) -> None:
        """Forget a visitor who went."""
        with self._lock:
            self._visitors.pop(client_id, None)


def serve(run: Path, *, host: str = "127.0.0.1", port: int = 8080) -> ViewerHandle:
    """Serve a run folder and return at once; `ViewerHandle.wait` blocks.

    Args:
        run: a folder that `sparse3d reconstruct` wrote.
        host: address to listen on. The default is reachable from this machine only.
        port: to listen on; the next free one where it is taken.

    Raises:
        InputError: the folder holds no reconstruction.
    """
    loaded = load_run(run)
    return open_viewer(
        loaded.reconstruction,
        loaded.thumbnails,
        points=loaded.points,
        title=loaded.title,
        metrics=loaded.metrics,
        host=host,
        port=port,
    )


def open_viewer(
    reconstruction: Reconstruction,
    thumbnails: Mapping[str, NDArray[np.uint8]],
    *,
    points: tuple[NDArray[np.floating], NDArray[np.uint8]] | None = None,
    title: str = "sparse3d",
    metrics: Mapping[str, object] | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
) -> ViewerHandle:
    """Serve a reconstruction in memory and return at once.

    Args:
        reconstruction: what to show.
        thumbnails: small versions of the photos (h w 3) by photo name; those without one get an empty frustum.
        points: sparse points in the world (n 3) with colours (n 3); the Gaussians' centres stand in for None.
        title: the page's title, such as the run's name.
        metrics: figures for the panel.
        host: address to listen on. The default is reachable from this machine only.
        port: to listen on; the next free one where it is taken.
    """
    scene = build_scene(reconstruction, points)
    provenance = reconstruction.provenance
    summary = Summary(metrics or {}, provenance.warnings, provenance.unplaced)
    if host not in LOOPBACK_HOSTS:
        log.warning(
            "listening on %s: everybody who can reach this machine over the network can see the scene and its photos "
            "and move the controls; there is no password",
            host,
        )
    server = _Server(host=host, port=port, label=title, verbose=False)
    server.gui.configure_theme(show_logo=False, show_share_button=False)
    server.gui.main_panel.dock_right()
    _set_first_view(server, scene)
    splats = server.scene.add_gaussian_splats(
        "/splats", scene.centres, scene.covariances, scene.colours, scene.opacities
    )
    cloud = server.scene.add_point_cloud(
        "/points",
        scene.points.positions,
        scene.points.colours,
        point_size=POINT_SIZE,
        point_shape="circle",
        precision="float32",
        point_shading="flat",
        visible=False,
    )
    handle = ViewerHandle(server, scene, build_panel(server.gui, scene, thumbnails, summary))
    _connect_layers(handle, splats, cloud)
    _connect_photos(handle, thumbnails)
    _connect_visitors(handle, thumbnails)
    return handle


def _set_first_view(server: viser.ViserServer, scene: DisplayScene) -> None:
    """Up is the scene's; the first view is the first photo's, upright as it was taken."""
    server.scene.set_up_direction(scene.up)
    server.initial_camera.far = FAR_PLANE
    if scene.viewpoints:
        first = scene.viewpoints[0]
        server.initial_camera.up = first.up
        server.initial_camera.position = first.position
        server.initial_camera.look_at = first.target
        server.initial_camera.fov = first.fov_y_rad


def _connect_layers(handle: ViewerHandle, splats: viser.GaussianSplatHandle, cloud: viser.PointCloudHandle) -> None:
    """Let the checkboxes and sliders act."""
    panel, scene = handle.panel, handle.scene

    @panel.splats.on_update
    def _(_event: viser.GuiEvent) -> None:
        splats.visible = panel.splats.value

    @panel.points.on_update
    def _(_event: viser.GuiEvent) -> None:
        cloud.visible = panel.points.value

    @panel.cameras.on_update
    def _(_event: viser.GuiEvent) -> None:
        for visitor in handle.visitors():
            visitor.set_shown(panel.cameras.value)

    lock, drawn = threading.Lock(), [(1.0, 0.0)]

    def redraw(_event: viser.GuiEvent) -> None:
        # viser calls this from many threads while a slider moves: whoever comes last draws the newest values.
        with lock:
            wanted = (panel.splat_size.value, panel.min_opacity.value)
            if wanted != drawn[0]:
                opacities = np.where(scene.opacities >= wanted[1], scene.opacities, 0.0)
                splats.set_gaussians(scene.centres, scene.covariances * wanted[0] ** 2, scene.colours, opacities)
                drawn[0] = wanted

    panel.splat_size.on_update(redraw)
    panel.min_opacity.on_update(redraw)


def _connect_photos(handle: ViewerHandle, thumbnails: Mapping[str, NDArray[np.uint8]]) -> None:
    """Let the list of photos and its button act."""
    panel = handle.panel
    if panel.photo is None or panel.look_through is None:
        return
    photo, names = panel.photo, [viewpoint.name for viewpoint in handle.scene.viewpoints]

    @photo.on_update
    def _(_event: viser.GuiEvent) -> None:
        if panel.preview is not None and photo.value in thumbnails:
            panel.preview.image = thumbnails[photo.value]

    @panel.look_through.on_click
    def _(event: viser.GuiEvent) -> None:
        if event.client is not None:
            handle.look_through(event.client, names.index(photo.value))


def _connect_visitors(handle: ViewerHandle, thumbnails: Mapping[str, NDArray[np.uint8]]) -> None:
    """Welcome whoever opens the page: the whole first photo in the window, and frusta of their own."""

    def clicked(client: viser.ClientHandle, index: int) -> None:
        if handle.panel.photo is not None:
            handle.panel.photo.value = handle.scene.viewpoints[index].name
        handle.look_through(client, index)

    @handle.server.on_client_connect
    def _(client: viser.ClientHandle) -> None:
        visitor = Visitor(client, handle.scene, thumbnails, clicked)
        visitor.set_shown(handle.panel.cameras.value)
        if handle.scene.viewpoints:
            visitor.look_through(0)
        handle.admit(client.client_id, visitor)

    @handle.server.on_client_disconnect
    def _(client: viser.ClientHandle) -> None:
        handle.dismiss(client.client_id)
