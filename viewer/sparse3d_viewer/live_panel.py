"""The panel while a run is being optimised."""

import threading
from html import escape

import numpy as np
from numpy.typing import NDArray

from sparse3d.optim.progress import Progress
from sparse3d.pipeline.report_text import hide_paths
from sparse3d_viewer.dependency import viser

PLOT_HEIGHT = 130
CURVES = (("Loss", "rgb(200,80,40)"), ("PSNR (dB)", "rgb(38,110,220)"))


class LivePanel:
    """Stages, progress, curves and buttons.

    Attributes:
        pause, stop: the buttons; whoever owns the panel connects them.
        history: (iteration, loss, psnr) of every report.
    """

    def __init__(self, gui: viser.GuiApi) -> None:
        self._gui, self._lock = gui, threading.Lock()
        self._stages: list[str] = []
        self.history: list[tuple[int, float, float]] = []
        self.status = gui.add_html(_text("The cameras and the depth are being estimated."))
        self.bar = gui.add_progress_bar(0.0, visible=False)
        self.pause = gui.add_button("Pause", visible=False)
        self.stop = gui.add_button("Stop and keep", visible=False, hint="End here; what is done is kept and written")
        with gui.add_folder("Fit to the training photos", visible=False) as self._figures:
            self._plots = [self._add_plot(name, colour) for name, colour in CURVES]
            self.strip_name = gui.add_html("")
            self.strip: viser.GuiImageHandle | None = None
        with gui.add_folder("Stages"):
            self.stages = gui.add_html("")

    def add_stage(self, name: str, detail: str) -> None:
        """A stage ended."""
        self._add(f"<b>{escape(name)}</b> {escape(hide_paths(detail))}")

    def add_warning(self, message: str) -> None:
        """Something that the user should know."""
        self._add(f"&#9888; {escape(hide_paths(message))}")

    def begin(self) -> None:
        """The optimisation begins."""
        for handle in (self.bar, self.pause, self.stop, self._figures):
            handle.visible = True

    def note(self, progress: Progress) -> None:
        """The optimisation went on; cheap, since it waits."""
        if self.history and self.history[-1][0] == progress.iteration:
            return
        self.history.append((progress.iteration, progress.loss, progress.psnr))
        self.bar.value = 100 * progress.iteration / max(1, progress.iterations)
        self.status.content = _text(
            f"Iteration {progress.iteration} of {progress.iterations} &middot; loss {progress.loss:.4f} &middot; "
            f"{progress.psnr:.2f} dB"
        )

    def draw_curves(self) -> None:
        """Loss and PSNR over the iterations."""
        table = np.array(self.history, dtype=np.float64)
        for plot, column in zip(self._plots, (1, 2), strict=True):
            plot.data = (table[:, 0], table[:, column])

    def show_strip(self, name: str, picture: NDArray[np.uint8]) -> None:
        """A training photo, its rendering and their difference."""
        self.strip_name.content = _text(f"{escape(name)}: photo, rendering, difference")
        if self.strip is None:
            with self._figures:
                self.strip = self._gui.add_image(picture, jpeg_quality=85)
        else:
            self.strip.image = picture

    def show_paused(self, paused: bool) -> None:
        """What the button does next."""
        self.pause.label = "Go on" if paused else "Pause"

    def show_stopping(self) -> None:
        """Somebody asked for the end."""
        self.stop.disabled, self.pause.disabled = True, True
        self.stop.label = "Stopping"

    def _add(self, line: str) -> None:
        with self._lock:
            self._stages.append(f"<div>{line}</div>")
            self.stages.content = _text("".join(self._stages))

    def _add_plot(self, name: str, colour: str) -> viser.GuiUplotHandle:
        return self._gui.add_uplot(
            (np.zeros(1), np.zeros(1)),
            ({"label": "iteration"}, {"label": name, "stroke": colour, "width": 2}),
            title=name,
            scales={"x": {"time": False}},
            legend={"show": False},
            height=PLOT_HEIGHT,
        )


def _text(words: str) -> str:
    return f"<div style='padding:0.2em 1em;font-size:0.85em;line-height:1.45;overflow-wrap:anywhere'>{words}</div>"
