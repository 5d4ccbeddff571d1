"""Layers of figures: their range, their colours, their legend, and that they mean the same in several runs."""

import numpy as np
import pytest

from sparse3d.eval.uncertainty import CALIBRATED_LAYER, RAW_LAYER
from sparse3d.pipeline.coverage import ANGLE_LAYER, ERROR_LAYER

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer.layers import (
    ERROR,
    FILLED_COLOUR,
    OBSERVED,
    OBSERVED_COLOUR,
    layer_colours,
    layer_title,
    legend_of,
    scale_of,
    values_of,
)
from sparse3d_viewer.run import LoadedRun
from sparse3d_viewer.scales import NO_COLOUR, turbo
from sparse3d_viewer.session import Session
from sparse3d_viewer.shown import ShownRun


def test_layers_have_the_range_that_their_figures_mean():
    values = np.array([0.0, 0.125, 0.25, np.nan])
    scale = scale_of(ERROR, values)
    assert layer_colours(ERROR, values, scale).tolist() == turbo(4 * values, 0.0, 1.0).tolist()
    assert layer_colours(ERROR, values, scale)[3].tolist() == list(NO_COLOUR)
    assert "0.25" in legend_of(ERROR, values, scale) and "colours" in legend_of(ERROR, values, scale)
    opacity = scale_of("Opacity", np.array([0.2, 0.3]))
    assert (opacity.low, opacity.high) == (0.0, 1.0)


def test_other_layers_have_their_own_range_and_are_escaped():
    values = np.array([0.0, 10.0, np.nan])
    scale = scale_of("<b>", values)
    colours = layer_colours("<b>", values, scale)
    assert tuple(colours[2]) == NO_COLOUR and "<b>" not in legend_of("<b>", values, scale)
    assert colours[1, 0] > 2 * colours[1, 2], "high is red"
    assert scale_of("nothing known", np.array([np.nan])).high == 1.0


def test_the_legend_tells_the_unit():
    angles = np.array([0.0, 30.0])
    assert "degrees between" in legend_of(ANGLE_LAYER, angles, scale_of(ANGLE_LAYER, angles))


def test_layers_of_the_run_are_called_as_people_say():
    assert layer_title(RAW_LAYER) == "Uncertainty"
    calibrated = layer_title(CALIBRATED_LAYER)
    assert calibrated == "Expected colour error, calibrated"
    values = np.array([0.0, 0.1])
    assert "photos left out" in legend_of(calibrated, values, scale_of(calibrated, values))


def test_expected_errors_are_told_apart_over_their_whole_range():
    errors = np.array([0.02, 0.2, 2.0, 17.3, np.nan])
    scale = scale_of(ERROR_LAYER, errors)
    assert scale.logarithmic and scale.low == pytest.approx(0.02)
    levels = [turbo(np.array([t]), 0, 1)[0].tolist() for t in np.linspace(0, 1, 256)]
    places = [levels.index(colour.tolist()) for colour in scale.colours(errors[:4])]
    gaps = np.diff(places)
    assert gaps.min() > 60, "each step of ten times is well visible"
    assert scale.colours(errors)[4].tolist() == list(NO_COLOUR)
    assert scale.middle == pytest.approx(np.sqrt(0.02 * scale.high))


def test_observed_and_filled_in_have_two_colours_and_mixtures():
    values = np.array([0.0, 1.0, 0.5])
    colours = layer_colours(OBSERVED, values, scale_of(OBSERVED, values))
    assert colours[:2].tolist() == [list(FILLED_COLOUR), list(OBSERVED_COLOUR)]
    assert np.abs(colours[2] - colours[:2].astype(float).mean(0)).max() <= 1
    seen = values_of(make_reconstruction(), OBSERVED)
    assert (seen == 1).all() and "100.0 % of the Gaussians" in legend_of(OBSERVED, seen, scale_of(OBSERVED, seen))


def test_a_colour_means_the_same_in_all_runs():
    figures = (np.linspace(0, 1, 200), np.linspace(0, 5, 200))
    runs = [
        LoadedRun(str(i), make_reconstruction(), {}, layers={"Width": f.astype(np.float32)})
        for i, f in enumerate(figures)
    ]
    session = Session(tuple(ShownRun(run) for run in (*runs, LoadedRun("without", make_reconstruction(), {}))))
    scale = session.scale("Width")
    assert scale is not None and scale.high == pytest.approx(np.percentile(figures[1], 99))
    assert session.colours(0, "Width").tolist() == scale.colours(figures[0]).tolist()
    assert session.colours(2, "Width").tolist() == session.runs[2].scene.colours.tolist(), "it does not hold the layer"
    assert session.scale("Colour") is None
