"""DTU in both layouts: the split of PixelNeRF, masks, surfaces, projections taken apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stand_ins import check_cameras, pixels_of_point, ring, write_photos

from sparse3d.bench.datasets import load_dataset
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.io.projection import decompose_projection, read_idr_projections, read_projection_text

SIZE = (160, 120)
TEST = [1, 2, 9, 10, 11, 12, 14, 15, 23, 24, 26, 27, 29, 30, 31, 32, 33, 34, 35, 41, 42, 43, 45, 46, 47]
TRAIN = [25, 22, 28, 40, 44, 48, 0, 8, 13]


def projections(cameras: Cameras) -> np.ndarray:
    """As DTU gives them: pixel centres at whole numbers, any scale."""
    K = cameras.K.clone()
    K[:, :2, 2] -= 0.5
    return -2.5 * (K @ cameras.cam_from_world[:, :3]).numpy()


@pytest.fixture
def truth() -> Cameras:
    return ring(49, SIZE)


@pytest.fixture
def official(tmp_path: Path, truth: Cameras) -> Path:
    """The official archives with two scans, one of them not of the protocol."""
    for scan in ("scan8", "scan1"):
        write_photos(tmp_path / "Rectified" / scan, [f"rect_{i:03d}_3_r5000.png" for i in range(1, 50)], SIZE)
    (tmp_path / "Calibration" / "cal18").mkdir(parents=True)
    for i, P in enumerate(projections(truth), start=1):
        np.savetxt(tmp_path / "Calibration" / "cal18" / f"pos_{i:03d}.txt", P)
    return tmp_path


def write_masks(folder: Path, indices: list[int]) -> None:
    folder.mkdir(parents=True)
    for i in indices:
        Image.new("L", SIZE, 255).save(folder / f"{i:03d}.png")


def test_official_archives(official: Path, truth: Cameras) -> None:
    [scene] = load_dataset("dtu", official, protocol="dtu")
    assert (scene.scene, scene.downscale, scene.masks, scene.surface) == ("scan8", 4, {}, None)
    check_cameras(scene, pixels_of_point(truth) / 4, (40, 30))
    names = list(scene.photos)
    assert names[25] == "rect_026_3_r5000.png"
    for k in (3, 6, 9):
        assert scene.splits[str(k)].train == tuple(names[i] for i in TRAIN[:k])
        assert scene.splits[str(k)].test == tuple(names[i] for i in TEST)
    [other] = load_dataset("dtu", official, ["scan1"], protocol="dtu")
    assert other.scene == "scan1"


@pytest.mark.parametrize("folder", ["idrmasks/scan8", "idrmasks/scan8/mask"])
def test_masks_and_surface(official: Path, folder: str) -> None:
    with pytest.raises(InputError, match=r"001\.png: no mask of a test photo; get the masks"):
        load_dataset("dtu", official)
    write_masks(official / folder, [*TEST, 0])
    (official / "Points" / "stl").mkdir(parents=True)
    (official / "Points" / "stl" / "stl008_total.ply").write_bytes(b"ply")
    [scene] = load_dataset("dtu", official)
    names = list(scene.photos)
    assert scene.protocol == "dtu-masked"
    assert sorted(scene.masks) == sorted(names[i] for i in [*TEST, 0])
    assert scene.masks[names[47]] == official / folder / "047.png"
    assert scene.surface == official / "Points" / "stl" / "stl008_total.ply"


def test_packaging_of_idr(tmp_path: Path, truth: Cameras) -> None:
    write_photos(tmp_path / "scan55" / "image", [f"{i:06d}.png" for i in range(49)], SIZE)
    write_masks(tmp_path / "scan55" / "mask", list(range(49)))
    matrices = {}
    for i, P in enumerate(projections(truth)):
        matrices[f"world_mat_{i}"] = np.vstack([P, [0, 0, 0, 1]])
        matrices[f"scale_mat_{i}"] = np.diag([300.0, 300, 300, 1])  # the normalised world, which is not used
    np.savez(tmp_path / "scan55" / "cameras.npz", **matrices)
    [scene] = load_dataset("dtu", tmp_path)
    check_cameras(scene, pixels_of_point(truth) / 4, (40, 30))
    assert len(scene.masks) == 49
    assert scene.splits["3"].train == ("000025.png", "000022.png", "000028.png")
    torch.testing.assert_close(scene.cameras.cam_from_world, truth.cam_from_world, rtol=0, atol=1e-9)


def test_damage_is_named(official: Path) -> None:
    pose = official / "Calibration" / "cal18" / "pos_003.txt"
    for content, message in (
        ("1 2 3 4\n5 6 7 8\n", "not a 3x4 projection"),
        ("1 2 3 4\n1 2 3 4\n0 0 1 0\n", "has no inverse"),
        ("1 x 3 4\n", "line 1 is not a row of numbers"),
        ("1 nan 3 4\n", "line 1 holds NaN"),
        ("100 50 60 0\n0 100 50 0\n0 0 1 0\n", "skew of 50"),
    ):
        pose.write_text(content)
        with pytest.raises(InputError, match=message) as refused:
            load_dataset("dtu", official, protocol="dtu")
        assert "pos_003.txt" in str(refused.value)
    pose.unlink()
    with pytest.raises(InputError, match=r"pos_003\.txt: no such file"):
        load_dataset("dtu", official, protocol="dtu")


def test_missing_photos_and_scans_are_named(official: Path, tmp_path: Path) -> None:
    (official / "Rectified" / "scan8" / "rect_049_3_r5000.png").unlink()
    with pytest.raises(InputError, match=r"rect_049_3_r5000\.png: missing"):
        load_dataset("dtu", official, protocol="dtu")
    with pytest.raises(InputError, match="has no scene scan9"):
        load_dataset("dtu", official, ["scan9"])
    for file in (official / "Rectified" / "scan8").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="found scan1, none of the protocol's"):
        load_dataset("dtu", official)


def test_projections_are_taken_apart(truth: Cameras) -> None:
    for P, K, pose in zip(projections(truth), truth.K.numpy(), truth.cam_from_world.numpy(), strict=True):
        for scale in (1.0, -3.0, 1e-3):
            found_K, found_pose = decompose_projection("here", scale * P)
            np.testing.assert_allclose(found_K, K, rtol=0, atol=1e-8)
            np.testing.assert_allclose(found_pose, pose, rtol=0, atol=1e-9)


def test_damaged_archives_of_idr(tmp_path: Path) -> None:
    path = tmp_path / "cameras.npz"
    with pytest.raises(InputError, match="no such file"):
        read_idr_projections(path)
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InputError, match=r"is no cameras\.npz of IDR or damaged"):
        read_idr_projections(path)
    np.savez(path, camera_mat_0=np.eye(4))
    with pytest.raises(InputError, match="has no world_mat_0"):
        read_idr_projections(path)
    np.savez(path, world_mat_0=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="damaged"):
        read_idr_projections(path)
    np.savez(path, world_mat_0=np.eye(4), world_mat_2=np.eye(4))
    with pytest.raises(InputError, match="damaged"):
        read_idr_projections(path)
    with pytest.raises(InputError, match="cannot be read as text"):
        read_projection_text(path)


def test_a_published_projection(tmp_path: Path) -> None:
    """DTU's own pos_001.txt, against a camera of ours (a photo of 1024x768) that was converted on another way."""
    (tmp_path / "pos_001.txt").write_text(
        "2607.429996 -3.844898 1498.178098 -533936.661373\n-192.076910 2862.552532 681.798177 23434.686572\n"
        "-0.241605 -0.030951 0.969881 22.540121\n"
    )
    K, pose = decompose_projection("here", read_projection_text(tmp_path / "pos_001.txt"))
    ours = [[1851.0915, 0, 527.1714], [0, 1845.2322, 396.5254], [0, 0, 0.64]]
    np.testing.assert_allclose(0.64 * K, ours, rtol=0, atol=0.02)
    expected = [
        [0.970262685, 0.007479911, 0.24193878, -191.019600565],
        [-0.01474287, 0.999492915, 0.028223416, 3.288303108],
        [-0.241604988, -0.030950999, 0.969880954, 22.54012006],
    ]
    np.testing.assert_allclose(pose[:3, :3], np.array(expected)[:, :3], rtol=0, atol=2e-6)
    np.testing.assert_allclose(pose[:3, 3], np.array(expected)[:, 3], rtol=0, atol=2e-3)
