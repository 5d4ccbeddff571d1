"""Run folders: made, found again, protected from mistakes; and files that are written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest
import torch

from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.errors import InputError
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.io.atomic import atomic_path, atomic_write_text
from sparse3d.io.colmap import read_colmap
from sparse3d.io.run_folder import RunFolder, read_reconstruction, write_reconstruction


@pytest.fixture
def reconstruction() -> Reconstruction:
    cameras = Cameras.build(
        torch.eye(4, dtype=torch.float64).repeat(2, 1, 1),
        intrinsics_matrix(50.0, 51.0, 16.0, 12.0).repeat(2, 1, 1),
        [(32, 24)] * 2,
        names=["a.jpg", "b.jpg"],
        groups=[0, 1],
        intrinsics_known=[True, False],
    )
    count = 4
    quats = torch.tensor([1.0, 0, 0, 0]).repeat(count, 1)
    gaussians = GaussianParams(
        torch.rand(count, 3), quats, torch.rand(count, 3), torch.rand(count), torch.rand(count, 1, 3),
        torch.rand(count), torch.ones(count, dtype=torch.int32),
    )  # fmt: skip
    provenance = Provenance(
        "sift", {"steps": 3}, 7, {"torch": "2"}, {"depth": 1.5}, ("careful",), (("c.jpg", "blurred"),), (50.0, 50.0)
    )
    return Reconstruction(cameras, gaussians, provenance, ({"iteration": 1.0, "psnr": 20.0},))


@pytest.fixture
def no_points() -> SparsePoints:
    none = torch.zeros(0, dtype=torch.int64)
    return SparsePoints(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0), none, none, torch.zeros(0, 2))


def test_an_evaluation_stays_until_other_gaussians_are_written(
    tmp_path: Path, reconstruction: Reconstruction, no_points: SparsePoints
) -> None:
    run = RunFolder.create(tmp_path / "run")
    write_reconstruction(run, reconstruction, no_points)
    run.evaluation.write_text("{}")
    write_reconstruction(run, reconstruction, no_points)
    assert run.evaluation.is_file()
    moved = reconstruction.gaussians.replace(means=reconstruction.gaussians.means + 1)
    write_reconstruction(run, reconstruction.replace(gaussians=moved), no_points)
    assert not run.evaluation.exists()


def test_reconstruction_comes_back(tmp_path: Path, reconstruction: Reconstruction, no_points: SparsePoints) -> None:
    run = RunFolder.create(tmp_path / "new" / "run")
    write_reconstruction(run, reconstruction, no_points)
    read = read_reconstruction(run.root)
    assert read.provenance == reconstruction.provenance
    assert read.history == reconstruction.history
    assert torch.equal(read.gaussians.sh, reconstruction.gaussians.sh)
    assert read.cameras.names == ("a.jpg", "b.jpg")
    assert read.cameras.groups == (0, 1)
    assert read.cameras.pose_known == (False, False)
    assert read.cameras.intrinsics_known == (True, False)
    assert read_colmap(run.colmap)[0].names == ("a.jpg", "b.jpg")
    RunFolder.create(run.root)


def test_paths_within(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    assert run.depth("IMG.1.jpg") == run.root / "depth" / "IMG.1.npz"
    assert run.rendering("images/a.jpg") == run.root / "renderings" / "images_a.png"
    assert run.stage_path("depth", "abc") == run.root / "stages" / "depth-abc.npz"


def test_the_users_files_are_safe(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("a photo")
    with pytest.raises(InputError, match="not a run of sparse3d; give a new or empty folder"):
        RunFolder.create(tmp_path / "photos")
    with pytest.raises(InputError, match="is a file"):
        RunFolder.create(tmp_path / "photos" / "a.jpg")
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["a.jpg"]


def test_folders_that_are_no_finished_run(
    tmp_path: Path, reconstruction: Reconstruction, no_points: SparsePoints
) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_reconstruction(tmp_path / "none")
    with pytest.raises(InputError, match="is not a run folder"):
        read_reconstruction(tmp_path)
    run = RunFolder.create(tmp_path / "run")
    with pytest.raises(InputError, match=r"give .*run"):
        read_reconstruction(tmp_path)
    with pytest.raises(InputError, match=r"has no gaussians\.ply: the run is not finished"):
        read_reconstruction(run.root)
    write_reconstruction(run, reconstruction, no_points)
    run.provenance.write_text("{}")
    with pytest.raises(InputError, match=r"provenance\.json: is damaged"):
        read_reconstruction(run.root)
    run.marker.write_text('{"version": 9}')
    with pytest.raises(InputError, match="format 9"):
        RunFolder.open(run.root)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    atomic_write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"x\.txt: cannot write: the disk is full: free some space"):
        atomic_write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    atomic_write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(InputError, match="a file"):
        atomic_write_text(tmp_path / "x" / "y.txt", "")
