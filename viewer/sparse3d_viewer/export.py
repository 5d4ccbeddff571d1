"""What the page gives away: the scene and its cameras as files, and pictures of what is seen."""

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from sparse3d.io.cameras_json import write_cameras_json
from sparse3d.io.colmap import read_colmap, write_colmap
from sparse3d.io.ply import write_gaussians_ply
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.session import Session
from sparse3d_viewer.static_page import static_page

PLY, CAMERAS, COLMAP = "Gaussians (PLY)", "Cameras (cameras.json)", "Cameras (COLMAP, zip)"
MESH, PAGE = "Mesh (PLY)", "One page (HTML)"

CAPTURE_TIMEOUT_S = 60.0


class ExportTool:
    """The tab of the panel and what it does."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._session = session
        options = (PLY, CAMERAS, COLMAP, *((MESH,) if any(run.mesh for run in session.runs) else ()), PAGE)
        with server.gui.add_folder("Download"):
            self.what = server.gui.add_dropdown("What", options=options, initial_value=PLY)
            self.cropped = server.gui.add_checkbox(
                "Only within the crop", initial_value=True, hint="For the Gaussians, while the crop is on"
            )
            self.download = server.gui.add_button("Download")
        with server.gui.add_folder("Picture"):
            self.screenshot = server.gui.add_button("Screenshot (PNG)", hint="The scene as you see it, marks included")
        self.download.on_click(self._download)
        self.screenshot.on_click(_screenshot)

    def _download(self, event: viser.GuiEvent) -> None:
        if event.client is None:
            return
        made = self.file(self.what.value)
        if made is None:
            event.client.add_notification("Download", "This run has none.", color="red")
            return
        name, content = made
        event.client.send_file_download(name, content, save_immediately=True)

    def file(self, what: str) -> tuple[str, bytes] | None:
        """Name and content of a file to download; positions are in the run's world, as in the run folder.

        Returns:
            None where the run has nothing of the kind.
        """
        run = self._session.run
        reconstruction = run.loaded.reconstruction
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            if what == CAMERAS:
                write_cameras_json(folder / "cameras.json", reconstruction.cameras)
                return "cameras.json", (folder / "cameras.json").read_bytes()
            if what == COLMAP:
                source = run.loaded.folder
                if source is None:
                    return None  # a scene in memory
                cameras, points = read_colmap(source.colmap)
                write_colmap(folder / "model", cameras, points)
                return "colmap.zip", _zipped(folder / "model")
            if what == MESH:
                return None if run.mesh is None else ("mesh.ply", run.mesh.read_bytes())
            if what == PAGE:
                return f"{run.loaded.title}.html", static_page(run.loaded).encode()
            box = self._session.state.box
            if box is not None and self.cropped.value:
                reconstruction = run.within(box.holds(run.scene.centres))
            write_gaussians_ply(folder / "gaussians.ply", reconstruction.gaussians)
            return "gaussians.ply", (folder / "gaussians.ply").read_bytes()


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()


def _screenshot(event: viser.GuiEvent) -> None:
    """Ask the visitor's browser for its picture, and hand it back as a file."""
    client = event.client
    if client is None:
        return
    camera = client.camera
    try:
        # At the window's own size: at others viser 1.1 stretches the splats. PNG would come with a transparent background.
        picture = camera.get_render(camera.image_height, camera.image_width, timeout=CAPTURE_TIMEOUT_S)
    except TimeoutError:
        client.add_notification("Screenshot", "The browser gave no picture: is its tab in front?", color="red")
        return
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(picture)[..., :3]).save(buffer, "PNG")
    client.send_file_download("screenshot.png", buffer.getvalue(), save_immediately=True)
