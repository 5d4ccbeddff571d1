"""Figures for each Gaussian beside a run: written, read back, and left out where they do not fit."""

import numpy as np
import pytest

from sparse3d.core.errors import InputError
from sparse3d.io.gaussian_layers import read_gaussian_layers, remove_gaussian_layer, write_gaussian_layer


def test_a_layer_comes_back_as_it_was_written(tmp_path):
    values = np.array([0.5, np.nan, 3.0])
    write_gaussian_layer(tmp_path / "layers", "Photos in view", values)
    layers = read_gaussian_layers(tmp_path / "layers", 3)
    assert list(layers) == ["Photos in view"]
    assert np.array_equal(layers["Photos in view"], values.astype(np.float32), equal_nan=True)


def test_what_does_not_fit_or_is_damaged_is_left_out_and_told(tmp_path, caplog):
    write_gaussian_layer(tmp_path, "short", np.zeros(2))
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    assert read_gaussian_layers(tmp_path, 3) == {}
    assert "layer short is left out" in caplog.text and "layer broken is left out" in caplog.text
    assert read_gaussian_layers(tmp_path / "missing", 3) == {}


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a\\b"])
def test_a_name_that_would_leave_the_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="is no name for a layer"):
        write_gaussian_layer(tmp_path, name, np.zeros(1))
    with pytest.raises(InputError, match="is no name for a layer"):
        remove_gaussian_layer(tmp_path, name)


def test_a_layer_is_removed_alone(tmp_path):
    for name in ("stale", "other"):
        write_gaussian_layer(tmp_path, name, np.zeros(3))
    for _ in range(2):  # the second time there is none
        remove_gaussian_layer(tmp_path, "stale")
        assert list(read_gaussian_layers(tmp_path, 3)) == ["other"]
    remove_gaussian_layer(tmp_path / "missing", "stale")
