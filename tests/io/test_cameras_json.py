"""cameras.json: what is written is read back, and every kind of nonsense is named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import read_cameras_json, true_depth_files, write_cameras_json


def camera(**changes: Any) -> dict[str, Any]:
    entry = {"file": "a.jpg", "width": 64, "height": 48, "fx": 60.0, "fy": 61, "cx": 32.0, "cy": 24.0}
    return entry | {"cam_from_world": torch.eye(4).tolist()} | changes


def write(path: Path, cameras: Any, **changes: Any) -> Path:
    path.write_text(json.dumps({"version": 1, "axes": "opencv", "cameras": cameras} | changes))
    return path


def test_round_trip_is_exact(tmp_path: Path, generator: torch.Generator) -> None:
    poses = se3.se3_exp(torch.randn(3, 6, dtype=torch.float64, generator=generator))
    poses[1] = torch.nan
    K = intrinsics_matrix(60.1, 61.7, 31.3, 24.9).repeat(3, 1, 1)
    K[2] = torch.nan
    distortion = torch.zeros(3, 4, dtype=torch.float64)
    distortion[0, 1] = 0.0123456789
    cameras = Cameras.build(poses, K, [(64, 48)] * 3, distortion=distortion, names=["images/a.jpg", "ü.png", "c.jpg"])
    write_cameras_json(tmp_path / "sub" / "cameras.json", cameras, extra={"c.jpg": {"depth": "depth/c.png"}})
    read = read_cameras_json(tmp_path / "sub" / "cameras.json")
    assert read.names == cameras.names
    torch.testing.assert_close(read.cam_from_world, poses, rtol=0, atol=1e-15, equal_nan=True)
    torch.testing.assert_close(read.K, K, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(read.distortion, distortion, rtol=0, atol=0)
    assert read.pose_known == (True, False, True)
    assert read.intrinsics_known == (True, True, False)
    document = json.loads((tmp_path / "sub" / "cameras.json").read_text())
    assert document["cameras"][2]["depth"] == "depth/c.png"
    assert "distortion" not in document["cameras"][1]
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["cameras.json"]


def test_equal_intrinsics_share_a_group_and_rotations_are_cleaned(tmp_path: Path) -> None:
    rough = torch.eye(4)
    rough[0, 1] = 3e-4
    cameras = [camera(), camera(file="b.jpg", cam_from_world=rough.tolist()), camera(file="c.jpg", fx=70)]
    read = read_cameras_json(write(tmp_path / "c.json", cameras))
    assert read.groups == (0, 0, 1)
    rotation = read.cam_from_world[1, :3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-12)


BAD_CAMERAS = {
    "camera 'a.jpg' is listed twice": [camera(), camera()],
    "fx and fy must be positive": [camera(fx=-3)],
    "fy is 'None', expected a finite number": [camera(fy=None)],
    "cx is 'nan'": [camera(cx=float("nan"))],
    "fx is '1000": [camera(fx=10**400)],
    "width is 'True'": [camera(width=True)],
    "width and height must be whole numbers": [camera(height=0)],
    "not a rigid transform": [camera(cam_from_world=(2 * torch.eye(4)).tolist())],
    "determinant -1": [camera(cam_from_world=torch.diag(torch.tensor([1.0, 1, -1, 1])).tolist())],
    "not a 4x4 matrix": [camera(cam_from_world=[[1, 2], [3]])],
    "NaN or infinity": [camera(cam_from_world=torch.full((4, 4), float("inf")).tolist())],
    "four numbers k1, k2, p1, p2": [camera(distortion=[0.1])],
    "has no 'file'": [camera(file="")],
    "relative path": [camera(file="../../etc/passwd.png")],
    "number 0 is not an object": ["a.jpg"],
    "no list 'cameras'": [],
}


@pytest.mark.parametrize("message", BAD_CAMERAS)
def test_bad_cameras_are_named(tmp_path: Path, message: str) -> None:
    path = write(tmp_path / "cameras.json", BAD_CAMERAS[message])
    with pytest.raises(InputError) as caught:
        read_cameras_json(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_cameras_json(tmp_path / "none.json")
    with pytest.raises(InputError, match="version 2"):
        read_cameras_json(write(tmp_path / "v.json", [camera()], version=2))
    with pytest.raises(InputError, match="axes 'opengl'"):
        read_cameras_json(write(tmp_path / "a.json", [camera()], axes="opengl"))
    for content in ('{"version": 1,', "[" * 100_000, "[1]", "\xff", ""):
        (tmp_path / "bad.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(InputError, match=r"bad\.json: is"):
            read_cameras_json(tmp_path / "bad.json")


def test_where_the_true_depth_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", [camera(depth="depth/a.png"), camera(file="b.jpg")])
    assert true_depth_files(path) == {"a.jpg": tmp_path / "depth" / "a.png"}
    for depth in ("../a.png", "/etc/a.png", "", 5):
        with pytest.raises(InputError, match=r"c\.json"):
            true_depth_files(write(tmp_path / "c.json", [camera(depth=depth)]))
