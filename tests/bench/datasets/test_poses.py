"""The benchmarks of poses: RealEstate10K, CO3D and Strecha's buildings, each in its own convention of cameras."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_ins import check_cameras, pixels_of_point, ring, write_photos

from sparse3d.bench.datasets import load_dataset
from sparse3d.bench.datasets.common import random_frames
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError

SIZE = (64, 48)


def test_the_random_frames_are_these_for_good() -> None:
    assert random_frames(30) == [2, 10, 11, 13, 17, 22, 24, 26, 27, 28]
    assert random_frames(10) == list(range(10))


# RealEstate10K


def write_clip(root: Path, clip: str, cameras: Cameras, *, on_disk: int) -> list[str]:
    width, height = SIZE
    rows = ["https://www.youtube.com/watch?v=abc"]
    stamps = [100_100 + 33_366 * i for i in range(len(cameras))]
    for stamp, K, pose in zip(stamps, cameras.K.tolist(), cameras.cam_from_world.tolist(), strict=True):
        numbers = [K[0][0] / width, K[1][1] / height, K[0][2] / width, K[1][2] / height, 0, 0]
        rows.append(" ".join(map(repr, [stamp, *numbers, *pose[0], *pose[1], *pose[2]])))
    (root / "test").mkdir(parents=True, exist_ok=True)
    (root / "test" / f"{clip}.txt").write_text("\n".join(rows) + "\n")
    names = [f"{stamp}.png" for stamp in stamps]
    write_photos(root / "frames" / "test" / clip, names[:on_disk], SIZE)
    return names


def test_re10k(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    truth = ring(40, SIZE)
    names = write_clip(tmp_path, "0a1b", truth, on_disk=30)
    write_clip(tmp_path, "gone", truth, on_disk=9)
    [scene] = load_dataset("re10k", tmp_path)
    chosen = random_frames(30)
    assert (scene.scene, scene.protocol) == ("0a1b", "re10k-poses")
    assert scene.splits["10"].train == tuple(names[i] for i in chosen)
    assert scene.splits["10"].test == ()
    check_cameras(scene, pixels_of_point(truth.select(chosen)), SIZE)
    assert "gone: left out: fewer than 10 of its frames" in caplog.text
    with pytest.raises(InputError, match="gone: fewer than 10 frames"):
        load_dataset("re10k", tmp_path, ["gone"])
    with pytest.raises(InputError, match=r"has no scene \.\./0a1b"):
        load_dataset("re10k", tmp_path, ["../0a1b"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1 2 3", "frame number 41: has 3 numbers, expected 19"),
        ("7 -1 1 .5 .5 0 0 1 0 0 0 0 1 0 0 0 0 1 0", "positive focal lengths"),
        ("7.5 1 1 .5 .5 0 0 1 0 0 0 0 1 0 0 0 0 1 0", "no whole timestamp"),
        ("7 1 1 .5 .5 0 0 2 0 0 0 0 1 0 0 0 0 1 0", "not a rigid transform"),
    ],
)
def test_damaged_clips(tmp_path: Path, row: str, message: str) -> None:
    write_clip(tmp_path, "0a1b", ring(40, SIZE), on_disk=30)
    with (tmp_path / "test" / "0a1b.txt").open("a") as file:
        file.write(row)
    with pytest.raises(InputError, match=message):
        load_dataset("re10k", tmp_path)


# CO3D


def viewpoint(K: Any, pose: Any, kind: str) -> dict[str, Any]:
    """A camera as PyTorch3D has it: x left, y up, row vectors, NDC."""
    width, height = SIZE
    unit_x, unit_y = (width / 2, height / 2) if kind == "ndc_norm_image_bounds" else (min(SIZE) / 2,) * 2
    flip = np.diag([-1.0, -1.0, 1.0])
    return {
        "R": (flip @ pose[:3, :3]).T.tolist(),
        "T": (flip @ pose[:3, 3]).tolist(),
        "focal_length": [K[0, 0] / unit_x, K[1, 1] / unit_y],
        "principal_point": [(width / 2 - K[0, 2]) / unit_x, (height / 2 - K[1, 2]) / unit_y],
        "intrinsics_format": kind,
    }


def write_gzipped(path: Path, value: Any) -> None:
    path.write_bytes(gzip.compress(json.dumps(value).encode()))


def write_category(
    root: Path, cameras: Mapping[str, Cameras], kind: str = "ndc_norm_image_bounds", *, poor: tuple[str, ...] = ()
) -> None:
    category = root / "apple"
    (category / "set_lists").mkdir(parents=True)
    frames, listed = [], []
    for sequence, truth in cameras.items():
        names = [f"frame{i + 1:06d}.jpg" for i in range(len(truth))]
        write_photos(category / sequence / "images", names, SIZE)
        for i, name in enumerate(names):
            file = f"apple/{sequence}/images/{name}"
            frames.append(
                {
                    "sequence_name": sequence,
                    "frame_number": i,
                    "image": {"path": file, "size": [SIZE[1], SIZE[0]]},
                    "viewpoint": viewpoint(truth.K[i].numpy(), truth.cam_from_world[i].numpy(), kind),
                }
            )
            listed.append([sequence, i, file])
    write_gzipped(category / "frame_annotations.jgz", frames)
    scores = [{"sequence_name": s, "viewpoint_quality_score": 0.4 if s in poor else 0.9} for s in cameras]
    write_gzipped(category / "sequence_annotations.jgz", scores)
    document = {"train": [], "val": [], "test": listed}
    (category / "set_lists" / "set_lists_fewview_dev.json").write_text(json.dumps(document))


@pytest.mark.parametrize("kind", ["ndc_norm_image_bounds", "ndc_isotropic"])
def test_co3d(tmp_path: Path, kind: str) -> None:
    truth = ring(60, SIZE)
    broken = truth.replace(cam_from_world=truth.cam_from_world.clone())
    broken.cam_from_world[3, 0, 3] = -1e6  # x is turned round in PyTorch3D
    cameras = {"1_good": truth, "2_short": truth.select(range(49)), "3_poor": truth, "4_broken": broken}
    write_category(tmp_path, cameras, kind, poor=("3_poor",))
    [scene] = load_dataset("co3d", tmp_path)
    chosen = random_frames(60)
    assert (scene.scene, scene.protocol) == ("apple-1_good", "co3d-poses")
    assert scene.splits["10"].train == tuple(f"frame{i + 1:06d}.jpg" for i in chosen)
    check_cameras(scene, pixels_of_point(truth.select(chosen)), SIZE)
    assert [s.scene for s in load_dataset("co3d", tmp_path, ["apple-1_good"])] == ["apple-1_good"]
    with pytest.raises(InputError, match="has no scene apple-3_poor"):
        load_dataset("co3d", tmp_path, ["apple-3_poor"])


def test_damaged_annotations(tmp_path: Path) -> None:
    write_category(tmp_path, {"1_good": ring(50, SIZE)})
    path = tmp_path / "apple" / "frame_annotations.jgz"
    whole = json.loads(gzip.decompress(path.read_bytes()))

    def refused(frames: Any) -> str:
        write_gzipped(path, frames)
        with pytest.raises(InputError) as error:
            load_dataset("co3d", tmp_path)
        return str(error.value)

    def changed(part: str, **values: Any) -> list[Any]:
        return [frame | {part: frame[part] | values} for frame in whole]

    assert "leads out of its folder" in refused(changed("image", path="../../etc/passwd"))
    assert "leads out of its folder" in refused(changed("image", path="/etc/passwd"))
    assert "photo of the same name" in refused(changed("image", path=whole[0]["image"]["path"]))
    assert "is 64x48, but 1/1 of the 48x64" in refused(changed("image", size=[64, 48]))
    assert "not a frame's annotation" in refused(changed("image", size=None))
    assert "intrinsics_format 'pixels'" in refused(changed("viewpoint", intrinsics_format="pixels"))
    assert "not the shapes" in refused(changed("viewpoint", T=[1.0, 2.0]))
    assert "focal length is not positive" in refused(changed("viewpoint", focal_length=[-1.0, 1.0]))
    assert "expected a finite number" in refused(changed("viewpoint", principal_point=[None, 1.0]))
    assert "not a rigid transform" in refused(changed("viewpoint", R=np.diag([1.0, 1, 2]).tolist()))
    assert "has no frame 49 of 1_good" in refused(whole[:-1])
    lists = tmp_path / "apple" / "set_lists" / "set_lists_fewview_dev.json"
    lists.write_text(lists.read_text().replace("1_good", "../1_good"))
    scores = [{"sequence_name": "../1_good", "viewpoint_quality_score": 0.9}]
    write_gzipped(tmp_path / "apple" / "sequence_annotations.jgz", scores)
    assert "'../1_good' is no name" in refused([frame | {"sequence_name": "../1_good"} for frame in whole])
    assert "is not a list of annotations" in refused({"a": 1})
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="damaged or not gzipped JSON"):
        load_dataset("co3d", tmp_path)


# Strecha


def camera_text(K: np.ndarray, pose: np.ndarray, *, distortion: str = "0 0 0") -> str:
    """As the authors write it: pixel centres at whole numbers, the orientation from camera to world, the centre."""
    K = K.copy()
    K[:2, 2] -= 0.5
    rotation = pose[:3, :3].T
    rows = [*K, None, *rotation, -rotation @ pose[:3, 3], SIZE]
    return "\n".join(distortion if row is None else " ".join(map(repr, map(float, row))) for row in rows) + "\n"


@pytest.mark.parametrize(("cameras", "photos"), [("urd", "urd"), ("gt_dense_cameras", "images"), (".", ".")])
def test_strecha(tmp_path: Path, cameras: str, photos: str) -> None:
    truth = ring(11, SIZE)
    names = [f"{i:04d}.jpg" for i in range(11)]
    folder = tmp_path / "fountain-P11"
    write_photos(folder / photos, names, SIZE)
    (folder / cameras).mkdir(exist_ok=True)
    for name, K, pose in zip(names, truth.K.numpy(), truth.cam_from_world.numpy(), strict=True):
        (folder / cameras / f"{name}.camera").write_text(camera_text(K, pose))
    [scene] = load_dataset("strecha", tmp_path)
    assert (scene.scene, scene.protocol) == ("fountain-P11", "strecha-poses")
    assert scene.splits["all"].train == tuple(names)
    check_cameras(scene, pixels_of_point(truth), SIZE)
    (folder / photos / "0004.jpg").unlink()
    with pytest.raises(InputError, match=r"has 0004\.jpg\.camera but no photo 0004\.jpg"):
        load_dataset("strecha", tmp_path)


def test_a_published_camera_file(tmp_path: Path) -> None:
    """Camera 3 of fountain-P11, whose K and pose are known in our convention from an independent conversion."""
    write_photos(tmp_path / "fountain" / "urd", ["0003.jpg"], (3072, 2048))
    (tmp_path / "fountain" / "urd" / "0003.jpg.camera").write_text(
        "2759.48 0 1520.69 \n0 2764.16 1006.81 \n0 0 1 \n0 0 0\n0.795163 -0.050195 -0.604314 \n"
        "-0.606377 -0.0736593 -0.791759 \n-0.00477103 0.996019 -0.0890082 \n-10.8142 -4.53704 0.122293 \n3072 2048\n"
    )
    [scene] = load_dataset("strecha", tmp_path)
    np.testing.assert_allclose(
        scene.cameras.K[0].numpy() / 3, [[919.8267, 0, 507.0633], [0, 921.3867, 335.77], [0, 0, 1 / 3]], atol=1e-3
    )
    expected = [0.795163, -0.606377, -0.004771, 5.848483], [-0.050195, -0.073659, 0.996019, -0.99882]
    np.testing.assert_allclose(scene.cameras.cam_from_world[0, :2].numpy(), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:40], "is not a .camera file"),
        (lambda text: text.replace("0 0 0\n", "0 0 0.1\n", 1), "third radial distortion 0.1"),
        (lambda text: text.replace("64.0 48.0", "0 48"), "gives the size 0x48"),
        (lambda text: text.replace("64.0 48.0", "640 480"), "is 64x48, but 1/1 of the 640x480"),
        (lambda text: "-" + text, "not the intrinsics of a camera"),
    ],
)
def test_damaged_camera_files(tmp_path: Path, change: Any, message: str) -> None:
    truth = ring(1, SIZE)
    write_photos(tmp_path / "castle" / "urd", ["0.jpg"], SIZE)
    text = change(camera_text(truth.K[0].numpy(), truth.cam_from_world[0].numpy()))
    (tmp_path / "castle" / "urd" / "0.jpg.camera").write_text(text)
    with pytest.raises(InputError, match=message):
        load_dataset("strecha", tmp_path)
