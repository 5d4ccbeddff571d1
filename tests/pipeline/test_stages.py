"""Kept stages: found again under the same key, made again when damaged, stale ones removed."""

import numpy as np
import pytest

from sparse3d.core.errors import InputError
from sparse3d.pipeline.config import load_config, preset_names
from sparse3d.pipeline.stages import FileCheckpoints, fingerprint, kept


def save_text(path, text):
    path.write_text(text)


def load_text(path):
    text = path.read_text()
    if "damaged" in text:
        raise InputError(f"{path}: is damaged")
    return text


def test_a_stage_is_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return "result"

    path = tmp_path / "stages" / "depth-aa.npz"
    assert kept(path, make, load_text, save_text) == ("result", False)
    assert kept(path, make, load_text, save_text) == ("result", True)
    assert len(made) == 1


def test_another_key_replaces_the_old_result(tmp_path):
    first, second, other = (tmp_path / name for name in ("depth-aa.npz", "depth-bb.npz", "cameras-aa.npz"))
    save_text(other, "stays")
    kept(first, lambda: "one", load_text, save_text)
    kept(second, lambda: "two", load_text, save_text)
    assert not first.exists() and second.exists() and other.exists()


def test_a_damaged_result_is_made_again(tmp_path, caplog):
    path = tmp_path / "depth-aa.npz"
    save_text(path, "damaged")
    assert kept(path, lambda: "new", load_text, save_text) == ("new", False)
    assert "done again" in caplog.text


def test_checkpoints_survive_and_a_corrupt_one_is_said_so(tmp_path, caplog):
    store = FileCheckpoints(tmp_path / "optimise-aa.npz")
    assert store.load() is None
    store.save({"x": np.arange(3.0)})
    loaded = store.load()
    assert loaded is not None and (loaded["x"] == np.arange(3.0)).all()
    store.path.write_bytes(store.path.read_bytes()[:40])
    assert store.load() is None
    assert "optimising from the start" in caplog.text


def test_fingerprints_tell_settings_apart():
    assert fingerprint({"a": 1}) == fingerprint({"a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_every_preset_loads_and_unknown_keys_are_refused(tmp_path):
    assert {"default", "fast"} <= set(preset_names())
    for name in preset_names():
        load_config(name)
    assert (
        [load_config(name).optim.steps(3) for name in ("s", "xl")]
        == [200, 1000]
        == [load_config(name).optim.steps(12) for name in ("s", "xl")]
    )
    assert load_config("fast").initialise.max_gaussians < load_config("default").initialise.max_gaussians
    (tmp_path / "mine.yaml").write_text("optim: {passe: 5}")
    with pytest.raises(InputError, match="passes"):
        load_config("default", overrides=tmp_path / "mine.yaml")
