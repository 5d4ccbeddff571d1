"""The plain baselines as methods of the bench, on the shrunk courtyard."""

import pytest

from sparse3d.bench.execute import execute
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
