"""Our own format, NeRF's rendered objects, and what holds for every data set."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stand_ins import check_cameras, pixels_of_point, ring, write_photos

from sparse3d.bench.datasets import DATASETS, load_dataset
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import write_cameras_json
from sparse3d.io.image_files import read_image

SIZE = (64, 48)
NAMES = tuple(f"{i:03d}.jpg" for i in range(8))
SPLIT = {
    "sparse3": {"train": list(NAMES[:3]), "test": list(NAMES[3:6])},
    "standard": {"name": "a protocol", "train3": list(NAMES[1:4]), "train6": list(NAMES[1:7]), "test": [NAMES[0]]},
}


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A set with depth of one photo, and one without poses and split."""
    folder = tmp_path / "set"
    write_photos(folder / "images", NAMES, SIZE)
    (folder / "depth").mkdir()
    Image.fromarray(np.full((48, 64), 4000, np.uint16)).save(folder / "depth" / "002.png")
    cameras = ring(8, SIZE).replace(names=tuple(f"images/{name}" for name in NAMES))
    write_cameras_json(folder / "cameras.json", cameras, extra={"images/002.jpg": {"depth": "depth/002.png"}})
    (folder / "split.json").write_text(json.dumps(SPLIT))
    write_photos(tmp_path / "wild" / "images", NAMES, SIZE)
    (tmp_path / "wild" / "cameras.json").write_text("{}")
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_our_own_format(public: Path) -> None:
    [scene] = load_dataset("public", public)
    assert (scene.scene, scene.protocol, scene.downscale, scene.background) == ("set", "public", 1, None)
    check_cameras(scene, pixels_of_point(ring(8, SIZE)), SIZE)
    assert list(scene.splits) == ["sparse3", "standard3", "standard6"]
    assert scene.splits["sparse3"].test == NAMES[3:6]
    assert scene.splits["standard6"].train == NAMES[1:7]
    assert scene.splits["standard3"].test == (NAMES[0],)
    assert scene.depths == {"002.jpg": public / "set" / "depth" / "002.png"}


def test_llffs_own_protocol_on_copies_of_its_scenes(public: Path) -> None:
    size, names = (1024, 768), [f"{i:03d}.jpg" for i in range(12)]
    for name in ("llff_fern", "llff_horns"):
        write_photos(public / name / "images", names, size)
        cameras = ring(12, size).replace(names=tuple(f"images/{name}" for name in names))
        cameras = cameras.replace(distortion=torch.tensor([[0.02, 0.0, 0.0, 0.0]], dtype=torch.float64).repeat(12, 1))
        write_cameras_json(public / name / "cameras.json", cameras)
        (public / name / "split.json").write_text(json.dumps(SPLIT))
    scenes = load_dataset("public", public, protocol="public-llff-8")
    assert [scene.scene for scene in scenes] == ["llff_fern", "llff_horns"]
    scene = scenes[0]
    assert (scene.protocol, scene.downscale) == ("public-llff-8", 2) and scene.cameras.sizes[0] == (512, 384)
    assert not scene.cameras.is_distorted
    assert float(scene.cameras.K[0, 0, 0]) == pytest.approx(float(ring(12, size).K[0, 0, 0]) / 2)
    assert list(scene.splits) == ["3", "6", "9"]
    assert scene.splits["3"].test == ("000.jpg", "008.jpg")
    assert scene.splits["3"].train == ("001.jpg", "005.jpg", "011.jpg")


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ([], "not an object"),
        ({"sparse3": []}, "'sparse3' is not an object"),
        ({"sparse3": {"test": []}}, "has no list 'train'"),
        ({"sparse3": {"train": ["000.jpg"]}}, "must be lists of photo names"),
        ({"sparse3": {"train": ["000.jpg", 3], "test": []}}, "must be lists of photo names"),
        ({"sparse3": {"train": ["nine.jpg"], "test": []}}, "does not have: nine.jpg"),
        ({"sparse3": {"train": ["000.jpg"], "test": ["000.jpg"]}}, "names a photo twice"),
        ({"../sparse3": {"train": ["000.jpg"], "test": []}}, "'../sparse3' is no name"),
    ],
)
def test_splits_that_make_no_sense(public: Path, split: object, message: str) -> None:
    (public / "set" / "split.json").write_text(json.dumps(split))
    with pytest.raises(InputError, match=message) as refused:
        load_dataset("public", public)
    assert "split.json" in str(refused.value)


def test_files_that_are_not_there_or_lead_out(public: Path) -> None:
    path = public / "set" / "cameras.json"
    whole = path.read_text()
    for depth, message in (
        ("../../depth.png", "leads out"),
        ("depth/no.png", "missing, though"),
        (3, "is not a file name"),
    ):
        path.write_text(whole.replace('"depth/002.png"', json.dumps(depth)))
        with pytest.raises(InputError, match=message):
            load_dataset("public", public)
    path.write_text(whole.replace("images/007.jpg", "more/001.jpg"))
    with pytest.raises(InputError, match="share a name"):
        load_dataset("public", public)
    path.write_text(whole)
    (public / "set" / "images" / "007.jpg").unlink()
    with pytest.raises(InputError, match=r"007\.jpg: missing"):
        load_dataset("public", public)


# NeRF's rendered objects


def write_object(folder: Path, part: str, cameras: Cameras, on_disk: list[int]) -> None:
    flip = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))
    poses = (cameras.world_from_cam @ flip).tolist()
    frames = [{"file_path": f"./{part}/r_{i}", "transform_matrix": pose} for i, pose in enumerate(poses)]
    angle = 2 * math.atan(SIZE[0] / 2 / float(cameras.K[0, 0, 0]))
    write_photos(folder / part, [f"r_{i}.png" for i in on_disk], SIZE, mode="RGBA")
    (folder / f"transforms_{part}.json").write_text(json.dumps({"camera_angle_x": angle, "frames": frames}))


@pytest.fixture
def lego(tmp_path: Path) -> tuple[Path, Cameras, Cameras]:
    cameras = ring(300, SIZE)
    K = cameras.K.clone()
    K[:, 0, 2], K[:, 1, 2] = SIZE[0] / 2, SIZE[1] / 2
    cameras = cameras.replace(K=K)
    train, test = cameras.select(range(100)), cameras.select(range(100, 300))
    write_object(tmp_path / "lego", "train", train, [26, 86, 2, 55, 75, 93, 16, 73])
    write_object(tmp_path / "lego", "test", test, list(range(0, 200, 8)))
    return tmp_path, train, test


def test_rendered_objects(lego: tuple[Path, Cameras, Cameras]) -> None:
    root, train, test = lego
    [scene] = load_dataset("nerf_synthetic", root)
    assert (scene.scene, scene.protocol, scene.downscale) == ("lego", "nerf-synthetic-8views", 2)
    chosen = [26, 86, 2, 55, 75, 93, 16, 73]
    assert scene.splits["8"].train == tuple(f"train_r_{i}.png" for i in chosen)
    assert scene.splits["8"].test == tuple(f"test_r_{8 * i}.png" for i in range(25))
    pixels = [pixels_of_point(train.select(chosen)), pixels_of_point(test.select(range(0, 200, 8)))]
    check_cameras(scene, np.concatenate(pixels) / 2, (32, 24))
    assert set(scene.cameras.groups) == {0}
    assert scene.background == (1.0, 1.0, 1.0)
    shown = read_image(scene.photos["train_r_2.png"], background=scene.background)
    # 90, 120, 30 at an opacity of 128 / 255 over white
    assert shown[0, 0].tolist() == [round(128 / 255 * c + 127) for c in (90, 120, 30)]
    assert read_image(scene.photos["train_r_2.png"])[0, 0].tolist() == [90, 120, 30]


def test_rendered_objects_that_are_damaged(lego: tuple[Path, Cameras, Cameras]) -> None:
    root, _, _ = lego
    path = root / "lego" / "transforms_train.json"
    whole = path.read_text()
    for before, after, message in (
        ("./train/r_26", "../../r_26", "leads out"),
        ("./train/r_26", "/etc/r_26", "leads out"),
        ("./train/r_26", "./test/r_8", "names photos of transforms_train"),
        ("camera_angle_x", "angle", "has no camera_angle_x"),
    ):
        path.write_text(whole.replace(f'"{before}"', f'"{after}"'))
        with pytest.raises(InputError, match=message):
            load_dataset("nerf_synthetic", root)
    document = json.loads(whole)
    path.write_text(json.dumps(document | {"frames": document["frames"][:90]}))
    with pytest.raises(InputError, match="has 90 frames, the protocol takes number 93"):
        load_dataset("nerf_synthetic", root)
    path.write_text(whole)
    write_photos(root / "lego" / "train", ["r_2.png"], (32, 24))
    with pytest.raises(InputError, match=r"is 32x24, but 1/1 of the 64x48|is 64x48, but 1/1 of the 32x24"):
        load_dataset("nerf_synthetic", root)


# all


def test_every_protocol_has_its_heading() -> None:
    document = (Path(__file__).parents[3] / "docs" / "protocols.md").read_text()
    headings = re.findall(r"^## `([a-z0-9-]+)`", document, re.MULTILINE)
    protocols = [protocol for loader in DATASETS.values() for protocol in loader.protocols]
    assert sorted(headings) == sorted(protocols)


@pytest.mark.parametrize("name", list(DATASETS))
def test_empty_and_absent_folders_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="holds no scene of this data set: looked for") as refused:
        load_dataset(name, tmp_path)
    assert str(tmp_path) in str(refused.value)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        load_dataset(name, tmp_path / "nowhere")


def test_unknown_data_sets_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data set 'dut': there are public, llff, dtu"):
        load_dataset("dut", tmp_path)
