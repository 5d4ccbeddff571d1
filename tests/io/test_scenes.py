"""The sample scenes: their files agree with one another, and their geometry with their pictures."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from sparse3d.core.errors import InputError
from sparse3d.io import scenes
from sparse3d.io.scenes import list_scenes, load_scene, materialise_scene, scenes_root

VIEW = dict[str, np.ndarray]


def read_views(folder: Path) -> list[VIEW]:
    """K, cam_from_world, grey picture in [0, 1] and, where the view has it, depth in metres (0: unknown)."""
    views = []
    for entry in json.loads((folder / "cameras.json").read_text())["cameras"]:
        grey = np.asarray(Image.open(folder / entry["file"]).convert("L"), dtype=np.float64) / 255
        assert grey.shape == (entry["height"], entry["width"])
        K = np.array([[entry["fx"], 0, entry["cx"]], [0, entry["fy"], entry["cy"]], [0, 0, 1]])
        view = {"K": K, "cam_from_world": np.array(entry["cam_from_world"]), "grey": grey}
        if "depth" in entry:
            view["depth"] = np.asarray(Image.open(folder / entry["depth"]), dtype=np.float64) / 1000
        views.append(view)
    return views


def warp(a: VIEW, b: VIEW) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every 3rd pixel of `a` seen in `b` through a's depth: (x, y) in b, depth in b, and mask of those inside b."""
    h, w = a["depth"].shape
    y, x = (axis.ravel() for axis in np.mgrid[1:h:3, 1:w:3])
    depth = a["depth"][y, x]
    points_cam = np.linalg.inv(a["K"]) @ np.stack([x + 0.5, y + 0.5, np.ones(len(x))]) * depth
    b_from_a = b["cam_from_world"] @ np.linalg.inv(a["cam_from_world"])
    points_b = b_from_a[:3, :3] @ points_cam + b_from_a[:3, 3:]
    pixels = (b["K"] @ points_b)[:2] / np.maximum(points_b[2], 1e-6)
    inside = (depth > 0) & np.all((pixels > 2) & (pixels < np.array([[w - 2], [h - 2]])), axis=0)
    return pixels, points_b[2], inside


def photometric_error(a: VIEW, b: VIEW) -> float:
    """Median absolute difference of grey values of the pixels of `a` and where they land in `b`."""
    pixels, _, inside = warp(a, b)
    seen = map_coordinates(b["grey"], [pixels[1] - 0.5, pixels[0] - 0.5], order=1, mode="nearest")
    return float(np.median(np.abs(seen - a["grey"][1::3, 1::3].ravel())[inside]))


def sift_epipolar_errors(a: VIEW, b: VIEW) -> np.ndarray:
    """Distances in pixels of mutual SIFT matches from their true epipolar lines."""
    sift = cv2.SIFT_create(3000)
    (points_a, words_a), (points_b, words_b) = (
        sift.detectAndCompute((255 * v["grey"]).astype(np.uint8), None) for v in (a, b)
    )
    matches = cv2.BFMatcher(crossCheck=True).match(words_a, words_b)
    x_a = np.array([(*points_a[m.queryIdx].pt, 0.5) for m in matches]) + 0.5  # OpenCV's pixel centres are whole numbers
    x_b = np.array([(*points_b[m.trainIdx].pt, 0.5) for m in matches]) + 0.5
    b_from_a = b["cam_from_world"] @ np.linalg.inv(a["cam_from_world"])
    tx, ty, tz = b_from_a[:3, 3]
    cross = np.array([[0, -tz, ty], [tz, 0, -tx], [-ty, tx, 0]])
    F = np.linalg.inv(b["K"]).T @ cross @ b_from_a[:3, :3] @ np.linalg.inv(a["K"])
    line = x_a @ F.T
    return np.abs(np.sum(line * x_b, axis=1)) / np.linalg.norm(line[:, :2], axis=1)


def test_every_listed_scene_loads() -> None:
    assert {"courtyard", "motorcycle"} <= set(list_scenes())
    for name in list_scenes():
        scene = load_scene(name)
        assert scene.name == name == scene.root.name
        assert scene.licence
        assert scene.source


def test_courtyard_files_agree() -> None:
    scene = load_scene(scenes_root() / "courtyard")
    assert len(scene.image_paths) == scene.views == 12
    assert set(scene.split) == {"sparse3", "sparse6"}
    for protocol, count in (("sparse3", 3), ("sparse6", 6)):
        parts = scene.split[protocol]
        assert len(parts["train"]) == count
        assert not set(parts["train"]) & set(parts["test"])
    exif = Image.open(scene.image_paths[0]).getexif().get_ifd(0x8769)
    focal_px = exif[0xA405] / 43.27 * np.hypot(640, 480)
    assert focal_px == pytest.approx(576, rel=0.01)


def test_courtyard_depth_and_cameras_are_exact() -> None:
    a, b = read_views(load_scene("courtyard").root)[5:7]
    pixels, depth_b, inside = warp(a, b)
    x, y = np.floor(pixels[:, inside]).astype(int)
    patch = np.stack([b["depth"][y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    smooth = np.ptp(patch, axis=0) < 0.05  # no edge of an object nearby
    seen = map_coordinates(b["depth"], [pixels[1, inside] - 0.5, pixels[0, inside] - 0.5], order=1)
    error = np.abs(seen - depth_b[inside])[smooth]
    assert np.median(error) < 0.001
    assert np.mean(error < 0.01) > 0.93  # the rest is hidden in the other view


def test_courtyard_photos_agree_through_depth() -> None:
    a, b = read_views(load_scene("courtyard").root)[5:7]
    true_error = photometric_error(a, b)
    shifted = {**b, "cam_from_world": b["cam_from_world"].copy()}
    shifted["cam_from_world"][0, 3] += 0.02
    assert true_error < 0.02
    assert photometric_error(a, shifted) > 2 * true_error


def test_courtyard_neighbours_match() -> None:
    views = read_views(load_scene("courtyard").root)
    for a, b in ((2, 5), (5, 8)):
        errors = sift_epipolar_errors(views[a], views[b])
        assert np.sum(errors < 1.0) > 300


def test_courtyard_is_written_out(tmp_path: Path) -> None:
    copy = load_scene(materialise_scene("courtyard", tmp_path / "copy"))
    assert [path.name for path in copy.image_paths] == [f"{i:03d}.jpg" for i in range(12)]
    assert len(list((copy.root / "depth").iterdir())) == 12
    with pytest.raises(InputError, match="own folder"):
        materialise_scene(copy.root, copy.root)


def test_motorcycle_is_written_from_the_package(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    assert load_scene("motorcycle").cameras_path is None
    scene = load_scene(materialise_scene("motorcycle", tmp_path))
    assert [path.name for path in scene.image_paths] == ["left.png", "right.png"]
    left, right = read_views(scene.root)
    known = left["depth"][left["depth"] > 0]
    assert 2.0 < known.min() < known.max() < 6.0
    assert photometric_error(left, right) < 0.02
    closer = {**right, "cam_from_world": right["cam_from_world"].copy()}
    closer["cam_from_world"][0, 3] *= 0.9  # moves the pixels by 5 to 9
    assert photometric_error(left, closer) > 2 * photometric_error(left, right)


def test_motorcycle_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'scikit-image"):
        materialise_scene("motorcycle", tmp_path)
    assert not list(tmp_path.iterdir())


def test_motorcycle_of_another_version(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    shutil.copytree(scenes_root() / "motorcycle", tmp_path / "scene")
    manifest = tmp_path / "scene" / "scene.toml"
    manifest.write_text(manifest.read_text().replace('= "db18', '= "0000'))
    with pytest.raises(InputError, match="SHA-256"):
        materialise_scene(tmp_path / "scene", tmp_path / "out")


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"atlantis: not a sample scene.*courtyard, motorcycle"):
        load_scene("atlantis")


def test_no_scenes_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSE3D_SCENES", str(tmp_path))
    with pytest.raises(InputError, match="set SPARSE3D_SCENES"):
        list_scenes()


def broken(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """A copy of the courtyard with one text replaced in one of its files."""
    folder = materialise_scene("courtyard", tmp_path / "broken")
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("scene.toml", "views = 12", "views = 11", "holds 12 cameras"),
        ("scene.toml", "licence =", "license =", "KeyError: 'licence'"),
        ("scene.toml", "views = 12", "views = ", "not a scene manifest"),
        ("split.json", "002.jpg", "missing.jpg", "missing.jpg"),
        ("split.json", "{", "[", "JSON"),
        ("cameras.json", "images/000.jpg", "../000.jpg", "leads out"),
    ],
)
def test_malformed_scenes(tmp_path: Path, name: str, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_scene(broken(tmp_path, name, old, new))
