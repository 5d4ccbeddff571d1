"""The panel beside the scene: which photo to look through, which layers to show, what is known of the quality."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer import text
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.scene import DisplayScene


@dataclass(frozen=True)
class Summary:
    """What the panel tells in words.

    Attributes:
        metrics: figures of quality by name, one level of nesting at most; empty where nothing was measured.
        warnings: sentences.
        unplaced: (photo name, reason).
    """

    metrics: Mapping[str, object]
    warnings: tuple[str, ...]
    unplaced: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Panel:
    """Handles of the controls that do something. All visitors share them."""

    photo: viser.GuiDropdownHandle[str] | None
    preview: viser.GuiImageHandle | None
    look_through: viser.GuiButtonHandle | None
    splats: viser.GuiCheckboxHandle
    cameras: viser.GuiCheckboxHandle
    points: viser.GuiCheckboxHandle
    splat_size: viser.GuiSliderHandle
    min_opacity: viser.GuiSliderHandle


def build_panel(
    gui: viser.GuiApi, scene: DisplayScene, thumbnails: Mapping[str, NDArray[np.uint8]], summary: Summary
) -> Panel:
    """Lay out the panel; the caller connects the controls."""
    gui.add_html(text.overview(scene))
    photo = preview = button = None
    if scene.viewpoints:
        with gui.add_folder("Photos"):
            names = [viewpoint.name for viewpoint in scene.viewpoints]
            photo = gui.add_dropdown("Photo", options=names, initial_value=names[0])
            button = gui.add_button("Look through", hint="Put your eye where this photo was taken")
            if names[0] in thumbnails:
                preview = gui.add_image(thumbnails[names[0]], jpeg_quality=85)
    with gui.add_folder("Show"):
        splats = gui.add_checkbox("Splats", initial_value=True)
        cameras = gui.add_checkbox("Cameras", initial_value=True)
        points = gui.add_checkbox("Centres" if scene.points_are_centres else "Sparse points", initial_value=False)
        size = gui.add_slider("Splat size", min=0.1, max=1.5, step=0.1, initial_value=1.0)
        opacity = gui.add_slider(
            "Min. opacity", min=0.0, max=0.9, step=0.05, initial_value=0.0, hint="Hide splats fainter than this"
        )
    if summary.metrics:
        with gui.add_folder("Quality"):
            gui.add_html(text.metrics_table(summary.metrics))
    if summary.warnings or summary.unplaced:
        with gui.add_folder("Warnings"):
            gui.add_html(text.warnings_list(summary.warnings, summary.unplaced))
    return Panel(photo, preview, button, splats, cameras, points, size, opacity)
