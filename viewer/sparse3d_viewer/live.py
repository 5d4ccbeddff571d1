"""The page while a run is being optimised: the scene as it is now, how it fits, and buttons to pause and to stop.

The optimisation waits for nothing but a copy of its Gaussians, and takes that only when the page's own thread has sent the
one before: a slow machine or a slow visitor gets fewer pictures, the optimisation goes on. viser keeps one splat message
for each visitor, the newest.
"""

import logging
import threading
import time

from sparse3d.core.geometry_prior import GeometryPrior
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.optim.progress import Progress, Snapshot, StopTraining
from sparse3d.pipeline.listener import Listener
from sparse3d_viewer.first_view import set_first_view
from sparse3d_viewer.frame import DisplayFrame
from sparse3d_viewer.held_out import HeldOutSource
from sparse3d_viewer.live_panel import LivePanel
from sparse3d_viewer.scene import build_scene
from sparse3d_viewer.server import PageServer
from sparse3d_viewer.strip import StripFeed

log = logging.getLogger(__name__)

SNAPSHOT_EVERY_S = 1.0
"""Seconds between two pictures of the scene at most."""

PAUSE_POLL_S = 0.2
"""So soon Ctrl-C ends a pause on systems whose waits cannot be interrupted."""


class LiveView(Listener):
    """Shows a run while it is being optimised. The optimisation's thread calls it, visitors' threads press the buttons."""

    def __init__(self, server: PageServer) -> None:
        self._server = server
        self.panel = LivePanel(server.gui)
        self._going, self._stopped, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._going.set()
        self._ready = threading.Condition()
        self._next: tuple[Progress, Snapshot] | None = None
        self._busy, self._sent_at = False, 0.0
        self._source: HeldOutSource | None = None
        self._feed: StripFeed | None = None
        self._frame: DisplayFrame | None = None
        self._splats = None
        self.panel.pause.on_click(lambda _event: self.pause())
        self.panel.stop.on_click(lambda _event: self.stop())
        self._thread = threading.Thread(target=self._work, daemon=True, name="live view")
        self._thread.start()

    def stage(self, name: str, detail: str) -> None:
        self.panel.add_stage(name, detail)

    def warning(self, message: str) -> None:
        self.panel.add_warning(message)

    def optimising(self, prior: GeometryPrior) -> None:
        self._feed = StripFeed(self.panel, prior, self._source)
        self.panel.begin()

    def progress(self, progress: Progress) -> None:
        """Hand on a copy if the page is ready for it; block while paused.

        Raises:
            StopTraining: somebody pressed the button.
        """
        self._hand_on(progress)
        while not self._going.wait(PAUSE_POLL_S):
            self._hand_on(progress)  # whoever pauses wants to see where it stands
        if self._stopped.is_set():
            raise StopTraining

    def hold_out(self, source: HeldOutSource) -> None:
        """Look there for photos that the run is not made from; to be called before the optimisation begins."""
        self._source = source

    def pause(self) -> None:
        """Pause, or go on."""
        paused = self._going.is_set()
        (self._going.clear if paused else self._going.set)()
        self.panel.show_paused(paused)

    def stop(self) -> None:
        """End the optimisation at its next report and keep what is done."""
        self._stopped.set()
        self._going.set()
        self.panel.show_stopping()

    def close(self) -> None:
        """Let the page be used for something else."""
        self._ended.set()
        with self._ready:
            self._ready.notify()
        self._thread.join(timeout=60)

    def _hand_on(self, progress: Progress) -> None:
        last = progress.iteration >= progress.iterations
        self.panel.note(progress)
        with self._ready:
            if (
                progress.snapshot is None
                or self._busy
                or (not last and time.monotonic() - self._sent_at < SNAPSHOT_EVERY_S)
            ):
                return
            self._busy, self._sent_at = True, time.monotonic()
            self._next = (progress, progress.snapshot())
            self._ready.notify()

    def _work(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._next is not None or self._ended.is_set())
                if self._ended.is_set():
                    return
                taken, self._next = self._next, None
            try:
                if taken is not None:
                    self._show(*taken)
            except Exception:  # a page that fails must not take the run with it
                log.warning("the page could not show the run", exc_info=True)
            with self._ready:
                self._busy = False

    def _show(self, progress: Progress, snapshot: Snapshot) -> None:
        focals = tuple(snapshot.cameras.K[:, 0, 0].tolist())
        provenance = Provenance(prior="", settings={}, seed=0, versions={}, train_px=focals)
        reconstruction = Reconstruction(snapshot.cameras, snapshot.gaussians, provenance)
        scene = build_scene(reconstruction, frame=self._frame)
        arrays = (scene.centres, scene.covariances, scene.colours, scene.opacities)
        if self._splats is None:
            self._frame = scene.frame
            set_first_view(self._server, scene)
            self._splats = self._server.scene.add_gaussian_splats("/splats", *arrays)
            first = scene.viewpoints[0]
            for client in self._server.get_clients().values():
                with client.atomic():
                    client.camera.up_direction = first.up
                    client.camera.position = first.position
                    client.camera.look_at = first.target
                    client.camera.fov = first.fov_y_for(client.camera.aspect)
        else:
            self._splats.set_gaussians(*arrays)
        if self._feed is not None:
            self._feed.update(progress, snapshot)
        self.panel.draw_curves()
