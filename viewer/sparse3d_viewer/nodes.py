"""What stands in the scene for everybody: splats, points, a photo's depth as a surface, the run's mesh."""

from sparse3d_viewer.dependency import viser
from sparse3d_viewer.photos import read_depth
from sparse3d_viewer.session import Session, ViewState
from sparse3d_viewer.surface import depth_surface, read_mesh, to_glb

POINT_SIZE = 0.015
"""Diameter of a sparse point in display units."""


class SplatNode:
    """The splats, in the colours of the layer, within the crop's box."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._session = session
        scene = session.run.scene
        self.handle = server.scene.add_gaussian_splats(
            "/splats", scene.centres, scene.covariances, scene.colours, scene.opacities
        )
        self._drawn: tuple = (0, session.state.layer, 1.0, 0.0, None)
        session.follow(self._refresh)

    def _refresh(self, state: ViewState) -> None:
        if self.handle.visible != state.splats:
            self.handle.visible = state.splats
        wanted = (state.run, state.layer, state.splat_size, state.min_opacity, state.box)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        run = self._session.runs[state.run]
        scene, colours = run.scene, self._session.colours(state.run, state.layer)
        shown = self._session.shown(state)
        self.handle.set_gaussians(
            scene.centres[shown],
            scene.covariances[shown] * state.splat_size**2,
            colours[shown],
            scene.opacities[shown],
        )


class CloudNode:
    """The sparse points within the crop's box."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._server, self._session = server, session
        self._drawn: tuple | None = None
        session.follow(self._refresh)

    def _refresh(self, state: ViewState) -> None:
        wanted = (state.run, state.box)
        if not state.points and self._drawn is None:
            return  # sent when first asked for
        if wanted != self._drawn:
            self._drawn = wanted
            cloud = self._session.runs[state.run].scene.points
            shown = slice(None) if state.box is None else state.box.holds(cloud.positions)
            self.handle = self._server.scene.add_point_cloud(
                "/points",
                cloud.positions[shown],
                cloud.colours[shown],
                point_size=POINT_SIZE,
                point_shape="circle",
                precision="float32",
                point_shading="flat",
            )
        self.handle.visible = state.points


class SurfaceNode:
    """The chosen photo's depth as a coloured surface, and the run's mesh."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._server, self._session = server, session
        self._drawn: dict[str, tuple | None] = {"/surface": None, "/mesh": None}
        session.follow(self._refresh)

    def _refresh(self, state: ViewState) -> None:
        self._show("/surface", (state.run, state.photo) if state.surface else None)
        self._show("/mesh", (state.run,) if state.mesh else None)

    def _show(self, node: str, wanted: tuple | None) -> None:
        if wanted == self._drawn[node]:
            return
        self._drawn[node] = wanted
        mesh = None if wanted is None else self._make(node, *wanted)
        if mesh is None:
            self._server.scene.remove_by_name(node)
        else:
            self._server.scene.add_glb(node, to_glb(mesh), cast_shadow=False, receive_shadow=False)

    def _make(self, node: str, run_index: int, photo: str = ""):
        run = self._session.runs[run_index]
        folder = run.loaded.folder
        if folder is None:
            return None
        if node == "/mesh":
            return read_mesh(folder.mesh, run.scene.frame)
        pair, depth = run.pair(photo), read_depth(folder, photo)
        if pair is None or depth is None or depth[0].shape != pair.photo.shape[:2]:
            return None
        return depth_surface(depth[0], pair.photo, pair.camera, run.scene.frame)
