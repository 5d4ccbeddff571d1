"""Checkpoints: exact, never pickled, and clear when they are damaged."""

import pickle
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.errors import InputError
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior, SparsePoints, ViewDepth
from sparse3d.core.photo_check import PhotoCheck
from sparse3d.io import checkpoints
from sparse3d.io.checkpoints import load_arrays, save_arrays


def make_cameras() -> Cameras:
    return Cameras.build(
        torch.eye(4, dtype=torch.float64).repeat(2, 1, 1),
        intrinsics_matrix(50.0, 51.0, 16.0, 12.0).repeat(2, 1, 1),
        [(8, 6), (6, 8)],
        names=["a.jpg", "ö.jpg"],
        pose_known=[True, False],
    )


def make_points() -> SparsePoints:
    index = torch.tensor([0, 1])
    return SparsePoints(torch.rand(2, 3).double(), torch.rand(2, 3), torch.rand(2), index, index, torch.rand(2, 2))


def make_camera_prior() -> CameraPrior:
    return CameraPrior(make_cameras(), make_points(), (("c.jpg", "too few matches"),), ("beware",), "sift+mapper")


def make_geometry_prior() -> GeometryPrior:
    shapes = [(6, 8), (8, 6)]
    return GeometryPrior(
        cameras=make_cameras(),
        depths=tuple(ViewDepth(torch.rand(s), torch.rand(s), torch.ones(s, dtype=torch.int32)) for s in shapes),
        images=tuple(torch.rand(*s, 3) for s in shapes),
        masks=tuple(torch.ones(s) for s in shapes),
        full_cameras=make_cameras(),
        points=make_points(),
        unplaced=(),
        warnings=(),
        source="known",
        scale_kind="global",
        checks=(PhotoCheck("a.jpg", "placed anew", 0.05, 14.9, 0.01), PhotoCheck("c.jpg", "not told")),
    )


def make_params() -> GaussianParams:
    observations = torch.arange(5, dtype=torch.int32)
    return GaussianParams(
        torch.rand(5, 3),
        torch.rand(5, 4),
        torch.rand(5, 3),
        torch.rand(5),
        torch.rand(5, 4, 3),
        torch.rand(5),
        observations,
    )


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


KINDS = [("params", make_params), ("camera_prior", make_camera_prior), ("geometry_prior", make_geometry_prior)]


@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_dataclasses_come_back_exactly(tmp_path: Path, kind: str, make: Any) -> None:
    value = make()
    getattr(checkpoints, f"save_{kind}")(tmp_path / "x.npz", value)
    assert_same(getattr(checkpoints, f"load_{kind}")(tmp_path / "x.npz"), value)


@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_damage_is_an_input_error(tmp_path: Path, kind: str, make: Any) -> None:
    path = tmp_path / "x.npz"
    getattr(checkpoints, f"save_{kind}")(path, make())
    load = getattr(checkpoints, f"load_{kind}")
    good = path.read_bytes()
    for content in (good[:-200], good[: len(good) // 2], b"", b"garbage", good[:100] + b"\xff" * 50 + good[150:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="delete it and run again"):
            load(path)
    save_arrays(path, {"x": np.zeros(3)}, {"kind": "other"})
    with pytest.raises(InputError, match="holds 'other'"):
        load(path)


def test_parts_that_lack_are_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    checkpoints.save_params(path, make_params())
    arrays, meta = load_arrays(path)
    del arrays["gaussians/sh"]
    save_arrays(path, arrays, meta)
    with pytest.raises(InputError, match="lacks or garbles"):
        checkpoints.load_params(path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (pytest.fail, ("a pickle was run",))

    (tmp_path / "a.npz").write_bytes(pickle.dumps(Bomb()))
    np.savez(tmp_path / "b.npz", x=np.array([Bomb()], dtype=object), allow_pickle=True)
    for name in ("a.npz", "b.npz"):
        with pytest.raises(InputError, match="delete it"):
            load_arrays(tmp_path / name)
    with pytest.raises(ValueError, match="Python objects"):
        save_arrays(tmp_path / "c.npz", {"x": np.array([None])}, {})


def test_zip_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(100_000))
    monkeypatch.setattr("sparse3d.io.arrays.MAX_BYTES", 10_000)
    with pytest.raises(InputError, match="promises more than"):
        load_arrays(tmp_path / "x.npz")


def test_other_versions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparse3d.io.arrays.FORMAT_VERSION", 99)
    save_arrays(tmp_path / "x.npz", {}, {})
    monkeypatch.undo()
    with pytest.raises(InputError, match="version 99"):
        load_arrays(tmp_path / "x.npz")
