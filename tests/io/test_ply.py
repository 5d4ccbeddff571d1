"""Gaussians as PLY: exact round trip, the layout that other programs expect, and hostile files."""

import contextlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.recfunctions import repack_fields
from plyfile import PlyData, PlyElement

from sparse3d.core.errors import InputError
from sparse3d.core.gaussians import GaussianParams
from sparse3d.io.ply import read_gaussians_ply, write_gaussians_ply


def gaussians(generator: torch.Generator, count: int = 50, sh: int = 16) -> GaussianParams:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return GaussianParams(
        means=normal(count, 3),
        quats_wxyz=torch.nn.functional.normalize(normal(count, 4), dim=-1),
        log_scales=normal(count, 3),
        logit_opacities=normal(count),
        sh=normal(count, sh, 3),
        confidence=torch.rand(count, generator=generator),
        observations=torch.randint(0, 9, (count,), generator=generator, dtype=torch.int32),
    )


@pytest.mark.parametrize("sh", [1, 4, 9, 16])
def test_round_trip_is_exact(tmp_path: Path, generator: torch.Generator, sh: int) -> None:
    params = gaussians(generator, sh=sh)
    write_gaussians_ply(tmp_path / "g.ply", params)
    read = read_gaussians_ply(tmp_path / "g.ply")
    for field in fields(params):
        assert torch.equal(getattr(read, field.name), getattr(params, field.name)), field.name


def test_layout_is_that_of_the_original_implementation(tmp_path: Path, generator: torch.Generator) -> None:
    params = gaussians(generator, sh=4)
    write_gaussians_ply(tmp_path / "g.ply", params.replace(quats_wxyz=2 * params.quats_wxyz))
    vertex = PlyData.read(tmp_path / "g.ply")["vertex"]
    names = [p.name for p in vertex.properties]
    expected = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(9))]
    expected += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert names == [*expected, "confidence", "observations"]
    assert {p.val_dtype for p in vertex.properties} == {"f4"}
    np.testing.assert_array_equal(vertex["f_rest_1"], params.sh[:, 2, 0].numpy())  # the red channel comes first
    np.testing.assert_array_equal(vertex["f_rest_3"], params.sh[:, 1, 1].numpy())
    np.testing.assert_allclose(vertex["rot_0"], params.quats_wxyz[:, 0].numpy(), rtol=1e-6)


def test_files_of_other_programs(tmp_path: Path, generator: torch.Generator) -> None:
    write_gaussians_ply(tmp_path / "g.ply", gaussians(generator, sh=1))
    table = PlyData.read(tmp_path / "g.ply")["vertex"].data
    kept = [n for n in table.dtype.names if n not in ("confidence", "observations", "nx", "ny", "nz")]
    PlyData([PlyElement.describe(repack_fields(table[kept]), "vertex")], byte_order="<").write(tmp_path / "o.ply")
    read = read_gaussians_ply(tmp_path / "o.ply")
    assert (read.confidence == 1).all()
    assert (read.observations == 0).all()


def test_broken_gaussians_are_not_written(tmp_path: Path, generator: torch.Generator, caplog) -> None:
    params = gaussians(generator)
    params.means[3, 0], params.log_scales[5, 1], params.quats_wxyz[7] = torch.nan, torch.inf, 0
    write_gaussians_ply(tmp_path / "g.ply", params)
    read = read_gaussians_ply(tmp_path / "g.ply")
    assert len(read) == 48
    assert read.quats_wxyz[5].tolist() == [1, 0, 0, 0]
    assert "2 Gaussians" in caplog.text


def test_hostile_files_are_refused(tmp_path: Path, generator: torch.Generator) -> None:
    path = tmp_path / "g.ply"
    write_gaussians_ply(path, gaussians(generator, count=20, sh=1))
    good = path.read_bytes()
    nan = bytearray(good)
    start = good.index(b"end_header\n") + 11
    nan[start : start + 4] = np.float32(np.nan).tobytes()
    cases = {
        "99999999 Gaussians in": good.replace(b"vertex 20", b"vertex 99999999"),
        "promises": good[:-10],
        "damaged PLY header": good.replace(b"vertex 20", b"vertex -5"),
        "holds no Gaussians": good.replace(b"vertex 20", b"vertex 0"),
        "ascii PLY": good.replace(b"binary_little_endian", b"ascii"),
        "binary_big_endian PLY": good.replace(b"binary_little_endian", b"binary_big_endian"),
        "'list uchar int x'": good.replace(b"property float x", b"property list uchar int x"),
        "it has no opacity": good.replace(b"float opacity", b"float opacitx"),
        "NaN or infinite x": bytes(nan),
        "'list uchar int y'": good.replace(b"property float y", b"comment end_header\nproperty list uchar int y"),
        "is not a PLY file": b"PK\x03\x04" + good,
        "has 1 f_rest columns": good.replace(b"property float nx", b"property float f_rest_0"),
        "is a damaged PLY": good.replace(b"property float ny", b"property float nx"),
    }
    for message, content in cases.items():
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_gaussians_ply(path)
        assert message in str(caught.value)
        assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        read_gaussians_ply(tmp_path / "none.ply")


def test_damage_anywhere_is_an_input_error_or_harmless(tmp_path: Path, generator: torch.Generator) -> None:
    path = tmp_path / "g.ply"
    write_gaussians_ply(path, gaussians(generator, count=3, sh=1))
    good = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(good)
        for place in random.integers(0, len(good), random.integers(1, 6)):
            content[place] = random.integers(0, 256)
        path.write_bytes(bytes(content))
        with contextlib.suppress(InputError):
            assert len(read_gaussians_ply(path)) > 0
