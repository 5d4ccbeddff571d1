"""What the page shows now: one state that all visitors share, and who is told when it changes."""

import dataclasses
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core.gaussians import colour_to_sh0
from sparse3d.core.reconstruction import Reconstruction
from sparse3d_viewer.compare import OFF
from sparse3d_viewer.layers import COLOUR, layer_colours
from sparse3d_viewer.scales import Scale, joined
from sparse3d_viewer.shown import ShownRun

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Box:
    """What the crop leaves: between two corners, in display units."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def holds(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of the points (n 3) lie within."""
        return np.all((points >= np.array(self.low)) & (points <= np.array(self.high)), axis=-1)


@dataclass(frozen=True)
class ViewState:
    """What is shown.

    Attributes:
        run: index of the run.
        beside: index of the run on the right of a line; None where one run is shown. divide: where that line is, from 0 to 1.
        photo: name of the photo that is chosen; empty where there is none.
        layer: of `layers` or `drawing`, or one that the run folder holds.
        per_pixel: a layer of figures is drawn for each pixel (`figures`), not for each splat.
        comparison, wipe: of `compare`.
        splats, cameras, places, points, surface, mesh: shown or hidden; the places are those for next photos, the surface
            is that of the chosen photo's depth.
        splat_size: factor on the splats' standard deviations.
        min_opacity: fainter splats are hidden.
        background: colour behind everything.
        box: what lies outside is hidden; None shows all.
    """

    run: int = 0
    beside: int | None = None
    divide: float = 0.5
    photo: str = ""
    layer: str = COLOUR
    per_pixel: bool = False
    comparison: str = OFF
    wipe: float = 0.5
    splats: bool = True
    cameras: bool = True
    places: bool = True
    points: bool = False
    surface: bool = False
    mesh: bool = False
    splat_size: float = 1.0
    min_opacity: float = 0.0
    background: Rgb = (255, 255, 255)
    box: Box | None = None


class Session:
    """The runs on the page and the state of the page. Visitors' threads change it; whoever draws is told."""

    def __init__(self, runs: tuple[ShownRun, ...]) -> None:
        self.runs = runs
        first = runs[0].scene.viewpoints
        self.state = ViewState(photo=first[0].name if first else "")
        self._lock = threading.RLock()
        self._followers: list[Callable[[ViewState], None]] = []
        self._scales: dict[str, Scale] = {}
        self._colours: dict[tuple[int, str], NDArray[np.uint8]] = {}

    @property
    def run(self) -> ShownRun:
        """The run that is shown."""
        return self.runs[self.state.run]

    def shown(self, state: ViewState) -> NDArray[np.bool_]:
        """Which of the run's splats (n) are shown, by the crop and the least opacity."""
        scene = self.runs[state.run].scene
        shown = scene.opacities[:, 0] >= state.min_opacity
        return shown if state.box is None else shown & state.box.holds(scene.centres)

    def scale(self, layer: str) -> Scale | None:
        """What a layer's colours mean, the same in all runs, so that they can be compared; None where none holds it."""
        with self._lock:
            if layer not in self._scales:
                scales = [run.scale(layer) for run in self.runs if layer in run.recolours]
                if not scales:
                    return None
                self._scales[layer] = joined(scales)
            return self._scales[layer]

    def colours(self, run_index: int, layer: str) -> NDArray[np.uint8]:
        """Colours (n 3) of a run's splats in a layer; their own where it is no layer of figures, or the run does not hold it."""
        run, scale = self.runs[run_index], self.scale(layer)
        if scale is None or layer not in run.recolours:
            return run.scene.colours
        with self._lock:
            if (run_index, layer) not in self._colours:
                self._colours[run_index, layer] = layer_colours(layer, run.figures(layer), scale)
            return self._colours[run_index, layer]

    def scene(self, state: ViewState, *, painted: bool = False) -> Reconstruction:
        """The run with the splats that are shown, as large as they are shown.

        Args:
            painted: in the layer's colours where the layer recolours the splats.
        """
        run = self.runs[state.run]
        shown = self.shown(state)
        scene = run.within(shown)
        gaussians = scene.gaussians.replace(log_scales=scene.gaussians.log_scales + math.log(state.splat_size))
        if painted and state.layer in run.recolours:
            of_layer = self.colours(state.run, state.layer)[shown]
            colours = torch.from_numpy(of_layer).to(gaussians.sh.dtype) / 255
            gaussians = gaussians.replace(sh=colour_to_sh0(colours))
        return scene.replace(gaussians=gaussians)

    def follow(self, follower: Callable[[ViewState], None]) -> None:
        """Tell it of the state now and after every change, one change at a time."""
        with self._lock:
            self._followers.append(follower)
            follower(self.state)

    def update(self, **changes: object) -> None:
        """Change some fields of the state and tell everybody, if anything is new."""
        with self._lock:
            state = dataclasses.replace(self.state, **changes)  # pyright: ignore[reportArgumentType]
            if state == self.state:
                return
            self.state = state
            for follower in self._followers:
                # The newest state, since a follower may have changed it.
                follower(self.state)
