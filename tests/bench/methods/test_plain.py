"""The plain baselines as methods of the bench, on the shrunk courtyard."""

import pytest

from sparse3d.bench.execute import execute
from sparse3d.bench.materials import materialise
from sparse3d.bench.methods import resolve_method
from sparse3d.core.errors import InputError


def test_names_and_arguments():
    for name in ("plain-3dgs", "plain-dense"):
        assert resolve_method(name).label == name
        method = resolve_method(f"{name}:70")
        assert method.label == f"{name} 70" and method.settings["iterations"] == 70
        assert method.settings != resolve_method(name).settings
        assert method.poses == ("posed", "unposed") and method.seconds is not None and method.seconds(3) > 0
        for wrong in (":x", ":0", ":-5", "@70", ":1.5"):
            with pytest.raises(InputError, match=f"such as {name}:"):
                resolve_method(name + wrong)


@pytest.mark.parametrize("method", ["plain-3dgs:150", "plain-dense:30"])
def test_a_posed_job_is_trained_and_scored(tasks_of, tmp_path, method):
    [task] = tasks_of(tmp_path, methods=(method,), poses=("posed",))
    record = execute(task)
    assert record["status"] == "done", record["reason"]
    assert record["figures"]["poses.ate_relative"] < 1e-6
    assert record["figures"]["held_out.aligned.psnr"] > 10
    history = record["history"]
    assert history[-1]["iteration"] == int(method.split(":")[1]) and history[-1]["psnr"] > 12


def test_the_splats_are_drawn_as_they_were_trained(tiny, tmp_path):
    material = materialise(tiny, "3", "posed", tmp_path, threads=1)
    made = resolve_method("plain-3dgs:3").run(material).reconstruction
    # Photos of 160 pixels are not shrunk: the focal lengths trained with are the cameras' own.
    assert made.provenance.train_px == pytest.approx(made.cameras.K[:, 0, 0].tolist())
    assert made.cameras.names == ("002.png", "005.png", "008.png") and not made.provenance.unplaced
    assert [entry["iteration"] for entry in made.history] == [3]
