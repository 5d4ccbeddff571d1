"""The panel beside the scene: which run and photo, what to show, what is known of the quality."""

from dataclasses import dataclass

from sparse3d_viewer import text
from sparse3d_viewer.beside_tool import BesideTool
from sparse3d_viewer.compare import COMPARISONS
from sparse3d_viewer.dependency import viser
from sparse3d_viewer.drawing import PICTURES
from sparse3d_viewer.layers import COLOUR, legend_of
from sparse3d_viewer.session import Session, ViewState
from sparse3d_viewer.shown import run_labels


@dataclass(frozen=True)
class Panel:
    """Handles of the controls that do something. All visitors share them."""

    run: viser.GuiDropdownHandle[str] | None
    next_run: viser.GuiButtonHandle | None
    beside: BesideTool | None
    overview: viser.GuiHtmlHandle
    photo: viser.GuiDropdownHandle[str]
    preview: viser.GuiImageHandle | None
    look_through: viser.GuiButtonHandle
    comparison: viser.GuiDropdownHandle[str]
    wipe: viser.GuiSliderHandle[float]
    layer: viser.GuiDropdownHandle[str]
    per_pixel: viser.GuiCheckboxHandle
    legend: viser.GuiHtmlHandle
    splats: viser.GuiCheckboxHandle
    cameras: viser.GuiCheckboxHandle
    points: viser.GuiCheckboxHandle
    surface: viser.GuiCheckboxHandle
    mesh: viser.GuiCheckboxHandle
    splat_size: viser.GuiSliderHandle[float]
    min_opacity: viser.GuiSliderHandle[float]
    background: viser.GuiRgbHandle
    quality: viser.GuiHtmlHandle


def build_scene_tab(gui: viser.GuiApi, session: Session) -> dict[str, object]:
    """Runs, photos and what to show."""
    handles: dict[str, object] = {"run": None, "next_run": None, "beside": None}
    labels = run_labels(session.runs)
    if len(labels) > 1:
        handles["run"] = gui.add_dropdown("Run", options=labels, initial_value=labels[0])
        handles["next_run"] = gui.add_button("Next run", hint="Show the next run from the same place: flip to compare")
        handles["beside"] = BesideTool(gui, session, labels)
    handles["overview"] = gui.add_html("")
    with gui.add_folder("Photo"):
        handles |= _photo_controls(gui, session)
    with gui.add_folder("Show"):
        handles |= _layer_controls(gui, session)
    return handles


def _photo_controls(gui: viser.GuiApi, session: Session) -> dict[str, object]:
    names = [viewpoint.name for viewpoint in session.run.scene.viewpoints] or ["none"]
    handles: dict[str, object] = {
        "photo": gui.add_dropdown("Photo", options=names, initial_value=names[0]),
        "look_through": gui.add_button("Look through", hint="Put your eye where this photo was taken"),
        "comparison": gui.add_dropdown(
            "Compare", options=COMPARISONS, initial_value=COMPARISONS[0], hint="At the photo's place, in the window"
        ),
        "wipe": gui.add_slider("Wipe", min=0.0, max=1.0, step=0.01, initial_value=0.5, visible=False),
        "preview": None,
    }
    picture = session.run.loaded.thumbnails.get(names[0])
    if picture is not None:
        handles["preview"] = gui.add_image(picture, jpeg_quality=85)
    return handles


def _layer_controls(gui: viser.GuiApi, session: Session) -> dict[str, object]:
    recolours = dict.fromkeys(name for run in session.runs for name in run.recolours)
    has_mesh = any(run.mesh is not None for run in session.runs)
    points = "Centres" if session.run.scene.points_are_centres else "Sparse points"
    layers = (COLOUR, *PICTURES, *recolours)
    state = session.state
    return {
        "layer": gui.add_dropdown("Layer", options=layers, initial_value=COLOUR),
        "per_pixel": gui.add_checkbox(
            "For each pixel",
            initial_value=False,
            visible=False,
            hint="The figure of what a pixel shows, drawn when the eye rests, not one colour for each splat",
        ),
        "legend": gui.add_html("", visible=False),
        "splats": gui.add_checkbox("Splats", initial_value=True),
        "cameras": gui.add_checkbox("Cameras", initial_value=True),
        "points": gui.add_checkbox(points, initial_value=False),
        "surface": gui.add_checkbox("Depth surface", initial_value=False, hint="The chosen photo's depth as a surface"),
        "mesh": gui.add_checkbox("Mesh", initial_value=False, visible=has_mesh),
        "splat_size": gui.add_slider("Splat size", min=0.1, max=1.5, step=0.1, initial_value=1.0),
        "min_opacity": gui.add_slider(
            "Min. opacity", min=0.0, max=0.9, step=0.05, initial_value=0.0, hint="Hide splats fainter than this"
        ),
        "background": gui.add_rgb("Background", initial_value=state.background),
    }


def connect_panel(panel: Panel, session: Session) -> None:
    """Let the controls change the page's state, and the state the controls' texts."""
    bound: dict[str, viser.GuiInputHandle] = {
        "photo": panel.photo,
        "comparison": panel.comparison,
        "wipe": panel.wipe,
        "layer": panel.layer,
        "per_pixel": panel.per_pixel,
        "splats": panel.splats,
        "cameras": panel.cameras,
        "points": panel.points,
        "surface": panel.surface,
        "mesh": panel.mesh,
        "splat_size": panel.splat_size,
        "min_opacity": panel.min_opacity,
        "background": panel.background,
    }
    for field, control in bound.items():
        bind(session, field, control)
    if panel.run is not None and panel.next_run is not None:
        selector, labels = panel.run, run_labels(session.runs)

        @selector.on_update
        def _(_event: viser.GuiEvent) -> None:
            session.update(run=labels.index(selector.value))

        @panel.next_run.on_click
        def _(_event: viser.GuiEvent) -> None:
            selector.value = labels[(session.state.run + 1) % len(labels)]

    session.follow(_Follower(panel, session))


def bind(session: Session, field: str, control: viser.GuiInputHandle) -> None:
    """Let a control set a field of the state."""

    @control.on_update
    def _(_event: viser.GuiEvent) -> None:
        session.update(**{field: control.value})


class _Follower:
    """Keeps the panel's texts and pictures to what is shown."""

    def __init__(self, panel: Panel, session: Session) -> None:
        self._panel, self._session = panel, session
        self._run: int | None = None
        self._photo = session.state.photo

    def __call__(self, state: ViewState) -> None:
        panel, run = self._panel, self._session.runs[state.run]
        if state.run != self._run:
            self._run = state.run
            panel.overview.content = text.overview(run.scene, aligned=run.aligned)
            panel.quality.content = text.quality(run.loaded)
            names = [viewpoint.name for viewpoint in run.scene.viewpoints]
            if names and tuple(names) != tuple(panel.photo.options):
                panel.photo.options = names
        if state.photo != self._photo:
            self._photo = state.photo
            if panel.photo.value != state.photo:
                panel.photo.value = state.photo
            picture = run.loaded.thumbnails.get(state.photo)
            if panel.preview is not None and picture is not None:
                panel.preview.image = picture
        if panel.comparison.value != state.comparison:
            panel.comparison.value = state.comparison
        panel.wipe.visible = state.comparison != COMPARISONS[0]
        panel.per_pixel.visible = self._session.scale(state.layer) is not None and state.beside is None
        legend = self._legend(state)
        if panel.legend.content != legend:
            panel.legend.content = legend
        panel.legend.visible = bool(legend)

    def _legend(self, state: ViewState) -> str:
        run, scale = self._session.runs[state.run], self._session.scale(state.layer)
        if scale is None:
            return text.legend("", state.layer)
        if state.layer not in run.recolours:
            return text.legend("this run does not hold the layer", state.layer)
        each_pixel = state.per_pixel or state.beside is not None
        return text.legend(legend_of(state.layer, run.figures(state.layer), scale), state.layer, per_pixel=each_pixel)
