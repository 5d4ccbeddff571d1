"""LLFF, Mip-NeRF 360 and InstantSplat's cuts: splits to the letter, cameras by a point that they see."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stand_ins import check_cameras, pixels_of_point, ring, write_photos

from sparse3d.bench.datasets import load_dataset
from sparse3d.bench.datasets.common import evenly_spaced
from sparse3d.bench.datasets.instantsplat import split_frames
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.io.colmap import write_colmap


def no_points() -> SparsePoints:
    none = torch.zeros(0, dtype=torch.int64)
    return SparsePoints(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0), none, none, torch.zeros(0, 2))


def write_llff(folder: Path, cameras: Cameras) -> None:
    folder.mkdir(parents=True)
    rows = []
    for pose, K, (width, height) in zip(cameras.world_from_cam.numpy(), cameras.K, cameras.sizes, strict=True):
        right, down, forward, centre = pose[:3].T
        matrix = np.stack([down, right, -forward, centre, [height, width, float(K[0, 0])]], axis=1)
        rows.append([*matrix.ravel(), 1.0, 10.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def centred(cameras: Cameras) -> Cameras:
    """With the principal point that LLFF's format assumes."""
    K = cameras.K.clone()
    K[:, 0, 2], K[:, 1, 2] = cameras.sizes[0][0] / 2, cameras.sizes[0][1] / 2
    return cameras.replace(K=K)


@pytest.mark.parametrize(("protocol", "factor"), [("llff-8", 8), ("llff-4", 4)])
def test_llff(tmp_path: Path, protocol: str, factor: int) -> None:
    names = [f"image{i:03d}.png" for i in range(20)]
    truth = centred(ring(20, (320, 240)))
    write_llff(tmp_path / "fern", truth)
    write_photos(tmp_path / "fern" / f"images_{factor}", names, (320 // factor, 240 // factor))
    [scene] = load_dataset("llff", tmp_path, protocol=protocol)
    assert (scene.dataset, scene.scene, scene.protocol, scene.downscale) == ("llff", "fern", protocol, 1)
    check_cameras(scene, pixels_of_point(truth) / factor, (320 // factor, 240 // factor))
    assert list(scene.splits) == ["3", "6", "9"]
    for split in scene.splits.values():
        assert split.test == ("image000.png", "image008.png", "image016.png")
    # Worked out by hand for fern's 17 other photos, as published code picks them.
    assert scene.splits["3"].train == ("image001.png", "image010.png", "image019.png")
    assert [int(name[5:8]) for name in scene.splits["6"].train] == [1, 4, 7, 12, 15, 19]
    assert [int(name[5:8]) for name in scene.splits["9"].train] == [1, 3, 5, 7, 10, 12, 14, 17, 19]


def test_ties_round_to_even() -> None:
    assert evenly_spaced(54, 9)[4] == 26
    assert evenly_spaced(4, 3) == [0, 2, 3]


def test_llff_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_llff(tmp_path / "fern", centred(ring(20, (320, 240))))
    with pytest.raises(InputError, match=r"images_8: no photos; unpack"):
        load_dataset("llff", tmp_path)
    names = [f"image{i:03d}.png" for i in range(20)]
    write_photos(tmp_path / "fern" / "images_8", names, (80, 60))
    with pytest.raises(InputError, match=r"image000.png: is 80x60, but 1/8 of the 320x240"):
        load_dataset("llff", tmp_path)
    write_photos(tmp_path / "fern" / "images_8", names, (40, 30))
    (tmp_path / "fern" / "images_8" / "image003.png").unlink()
    with pytest.raises(InputError, match="20 poses for 19 photos"):
        load_dataset("llff", tmp_path)
    few = centred(ring(8, (320, 240)))
    write_llff(tmp_path / "few", few)
    write_photos(tmp_path / "few" / "images_8", names[:8], (40, 30))
    with pytest.raises(InputError, match="has 8 photos, the protocol needs 9"):
        load_dataset("llff", tmp_path, ["few"])
    with pytest.raises(InputError, match=r"has no scene horns .* there are: fern, few"):
        load_dataset("llff", tmp_path, ["horns"])
    with pytest.raises(InputError, match="no protocol 'llff-2': there are llff-8, llff-4"):
        load_dataset("llff", tmp_path, protocol="llff-2")


def test_mipnerf360(tmp_path: Path) -> None:
    names = [f"DSC{i:04d}.png" for i in range(40)]
    truth = ring(40, (326, 243)).replace(names=tuple(names), groups=(0,) * 40)
    write_colmap(tmp_path / "garden" / "sparse" / "0", truth, no_points())
    write_photos(tmp_path / "garden" / "images_8", names, (41, 30))
    [scene] = load_dataset("mipnerf360", tmp_path)
    assert scene.protocol == "mipnerf360-8"
    check_cameras(scene, pixels_of_point(truth) * [41 / 326, 30 / 243], (41, 30))
    assert [int(name[3:7]) for name in scene.splits["24"].test] == [0, 8, 16, 24, 32]
    rest = [i for i in range(40) if i % 8]
    expected = [rest[round(34 * j / 11)] for j in range(12)]
    assert [int(name[3:7]) for name in scene.splits["12"].train] == expected
    assert len(set(scene.splits["24"].train)) == 24
    (tmp_path / "garden" / "images_8" / "DSC0005.png").unlink()
    with pytest.raises(InputError, match=r"images_8/DSC0005.png: missing, though .* name DSC0005.png"):
        load_dataset("mipnerf360", tmp_path)


def test_mipnerf360_names_do_not_lead_out(tmp_path: Path) -> None:
    for name, message in (("../../out.png", "names a photo in a folder"), ("..", "leads out of its folder")):
        truth = ring(40, (320, 240)).replace(names=(name, *(f"{i}.png" for i in range(39))))
        write_colmap(tmp_path / "garden" / "sparse" / "0", truth, no_points())
        with pytest.raises(InputError, match=message):
            load_dataset("mipnerf360", tmp_path)


@pytest.mark.parametrize("dataset", ["tanks", "mvimgnet"])
def test_instantsplat(tmp_path: Path, dataset: str) -> None:
    names = [f"{i}.jpg" for i in range(24)]  # sorted by number, not by text
    truth = ring(24, (64, 48)).replace(names=tuple(names), groups=(0,) * 24)
    write_colmap(tmp_path / "Family" / "sparse" / "0", truth, no_points())
    write_photos(tmp_path / "Family" / "24_views" / "images", names, (64, 48))
    [scene] = load_dataset(dataset, tmp_path)
    assert scene.protocol == f"instantsplat-{dataset}"
    assert list(scene.photos) == names
    check_cameras(scene, pixels_of_point(truth), (64, 48))
    # linspace(1, 22, 12) cut off to whole numbers, and linspace over the twelve that remain.
    assert [int(n[:-4]) for n in scene.splits["3"].test] == [1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]
    assert [int(n[:-4]) for n in scene.splits["3"].train] == [0, 11, 23]
    assert [int(n[:-4]) for n in scene.splits["6"].train] == [0, 5, 9, 13, 17, 23]
    assert [int(n[:-4]) for n in scene.splits["12"].train] == [0, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23]
    Image.new("RGB", (64, 48)).save(tmp_path / "Family" / "24_views" / "images" / "24.jpg")
    with pytest.raises(InputError, match="has 25 photos, the protocol is for 24"):
        load_dataset(dataset, tmp_path)


def test_instantsplat_frames_without_cameras_are_named(tmp_path: Path) -> None:
    names = [f"{i:06d}.jpg" for i in range(24)]
    truth = ring(23, (64, 48)).replace(names=tuple(names[1:]))
    write_colmap(tmp_path / "Family" / "sparse" / "0", truth, no_points())
    write_photos(tmp_path / "Family" / "24_views" / "images", names, (64, 48))
    with pytest.raises(InputError, match=r"has no camera for 000000\.jpg"):
        load_dataset("tanks", tmp_path)


def test_the_split_is_numpys() -> None:
    test = np.linspace(1, 22, num=12, dtype=int)
    rest = [i for i in range(24) if i not in test]
    for k, split in split_frames([str(i) for i in range(24)]).items():
        assert split.train == tuple(str(rest[i]) for i in np.linspace(0, 11, num=int(k), dtype=int))
