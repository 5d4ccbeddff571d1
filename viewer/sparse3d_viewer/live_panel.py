"""The panel while a run is being optimised."""

import threading
from html import escape

import numpy as np
from numpy.typing import NDArray

from sparse3d.optim.progress import Progress
from sparse3d.pipeline.report_text import hide_paths
from sparse3d_viewer.dependency import viser

PLOT_HEIGHT = 130
PLOT_PADDING = (8, 16, 0, 0)
"""Above, right, below, left: the numbers beside the axes are half outside of the plot."""

LOSS_COLOUR, TRAINED_COLOUR, HELD_OUT_COLOUR = "rgb(200,80,40)", "rgb(38,110,220)", "rgb(240,140,0)"

NONE_HELD_OUT = (
    "No photo is held out: these are photos that the scene is made from, and others would fit worse. With known cameras "
    "(--cameras) and a choice of photos (--images), the others of the folder are held out."
)


class LivePanel:
    """Stages, progress, curves and buttons.

    Attributes:
        pause, stop: the buttons; whoever owns the panel connects them.
        history: (iteration, loss, psnr) of every report.
        held_out: (iteration, mean psnr) of every measurement of the held-out photos; empty where there are none.
    """

    def __init__(self, gui: viser.GuiApi) -> None:
        self._gui, self._lock = gui, threading.Lock()
        self._stages: list[str] = []
        self._names: list[str] = []
        self.history: list[tuple[int, float, float]] = []
        self.held_out: list[tuple[int, float]] = []
        self.status = gui.add_html(_text("The cameras and the depth are being estimated."))
        self.bar = gui.add_progress_bar(0.0, visible=False)
        self.pause = gui.add_button("Pause", visible=False)
        self.stop = gui.add_button("Stop and keep", visible=False, hint="End here; what is done is kept and written")
        with gui.add_folder("Fit to the photos", visible=False) as self._figures:
            self._loss = self._add_plot("Loss", {"Loss": LOSS_COLOUR})
            self._trained = self._add_plot("PSNR (dB) of the photos trained on", {"PSNR (dB)": TRAINED_COLOUR})
            self._both = self._add_plot(
                "PSNR (dB), orange: held out",
                {"trained on": TRAINED_COLOUR, "held out": HELD_OUT_COLOUR},
            )
            self._both.visible = False
            self.photo: viser.GuiDropdownHandle[str] | None = None
            self.words = gui.add_html("")
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
        iterations, losses, trained = np.array(self.history, dtype=np.float64).T
        self._loss.data = (iterations, losses)
        self._trained.data = (iterations, trained)
        if self.held_out:
            measured, psnr = np.array(self.held_out, dtype=np.float64).T
            # A plot's curves share their places: straight lines between the measurements are what it would draw anyway.
            self._both.data = (iterations, trained, np.interp(iterations, measured, psnr, right=np.nan))
            self._trained.visible, self._both.visible = False, True

    def offer_photos(self, held_out: tuple[str, ...], trained: tuple[str, ...]) -> None:
        """Let the user choose whose strip is shown: the held-out photos come first, and the first is shown first."""
        names = [f"{name} (held out)" for name in held_out] + list(trained)
        words = "Photo, rendering, difference."
        with self._figures:
            self.photo = self._gui.add_dropdown(
                "Photo", options=names, initial_value=names[0], order=self.words.order - 0.5
            )
        self._names = names
        self.words.content = _text(words if held_out else f"{words} {NONE_HELD_OUT}")

    @property
    def chosen(self) -> int:
        """Place of the chosen photo among those offered."""
        return 0 if self.photo is None else self._names.index(self.photo.value)

    def note_held_out(self, iteration: int, psnr: float) -> None:
        """The held-out photos were measured."""
        self.held_out.append((iteration, psnr))

    def show_strip(self, picture: NDArray[np.uint8]) -> None:
        """The chosen photo, its rendering and their difference."""
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

    def _add_plot(self, title: str, curves: dict[str, str]) -> viser.GuiUplotHandle:
        """A plot of curves over the iterations, each with its colour."""
        return self._gui.add_uplot(
            tuple(np.zeros(1) for _ in range(1 + len(curves))),
            ({"label": "iteration"}, *({"label": name, "stroke": c, "width": 2} for name, c in curves.items())),
            title=title,
            scales={"x": {"time": False}},
            legend={"show": False},
            padding=PLOT_PADDING,
            height=PLOT_HEIGHT,
        )


def _text(words: str) -> str:
    return f"<div style='padding:0.2em 1em;font-size:0.85em;line-height:1.45;overflow-wrap:anywhere'>{words}</div>"
