"""Photos as people have them: every mode, orientation and kind of damage."""

import logging
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.io import pixels as px
from sparse3d.io.photos import load_photos

ORIENTATION, MAKE, MODEL, EXIF = 0x0112, 0x010F, 0x0110, 0x8769
FOCAL_LENGTH, FOCAL_35MM, PLANE_X_RESOLUTION, PLANE_UNIT, WIDTH = 0x920A, 0xA405, 0xA20E, 0xA210, 0xA002


def picture(seed: int, size: tuple[int, int] = (48, 32)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def save(folder: Path, name: str, seed: int, size: tuple[int, int] = (48, 32), **options) -> Path:
    folder.mkdir(exist_ok=True)
    Image.fromarray(picture(seed, size)).save(folder / name, **options)
    return folder / name


def exif(details: dict | None = None, **tags) -> Image.Exif:
    block = Image.Exif()
    numbers = {"orientation": ORIENTATION, "make": MAKE, "model": MODEL}
    for name, value in tags.items():
        block[numbers[name]] = value
    block.get_ifd(EXIF).update(details or {})
    return block


def test_formats_are_sorted_and_exact(tmp_path: Path) -> None:
    save(tmp_path, "b.PNG", 1)
    save(tmp_path, "a.tiff", 2)
    save(tmp_path, "c.webp", 3, lossless=True)
    save(tmp_path, "d.jpg", 4)
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "._d.jpg").write_text("a file that macOS leaves behind")
    images = load_photos(tmp_path)
    assert images.names == ("a.tiff", "b.PNG", "c.webp", "d.jpg")
    assert images.sizes == ((48, 32),) * 4
    assert images.skipped == ()
    for photo, seed in zip(images.photos[:3], (2, 1, 3), strict=True):
        np.testing.assert_array_equal(images.read_pixels(photo), picture(seed))
    assert images.read_mask(images.photos[0]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = picture(0)
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    stored = px.turn_upright(upright, inverse)
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif(orientation=orientation))
    save(tmp_path, "b.png", 1)
    images = load_photos(tmp_path)
    assert images.photos[0].size == (48, 32)
    np.testing.assert_array_equal(images.read_pixels(images.photos[0]), upright)


def test_masks_are_upright_too(tmp_path: Path) -> None:
    Image.fromarray(px.turn_upright(picture(0), 8)).save(tmp_path / "a.png", exif=exif(orientation=6))
    save(tmp_path, "b.png", 1)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((32, 48), dtype=np.uint8)
    mask[:10] = 7
    Image.fromarray(mask).save(tmp_path / "masks" / "a.webp", lossless=True)
    images = load_photos(tmp_path)
    np.testing.assert_array_equal(images.read_mask(images.photos[0]), mask > 0)
    assert images.photos[1].mask_path is None
    Image.fromarray(mask.T.copy()).save(tmp_path / "masks" / "a.webp", lossless=True)
    with pytest.raises(InputError, match=r"a\.webp: is 32x48 but a\.png is 48x32; .*upright"):
        load_photos(tmp_path)


def test_alpha_is_a_mask(tmp_path: Path) -> None:
    alpha = np.full((32, 48, 1), 255, dtype=np.uint8)
    alpha[:, :5], alpha[:, 5:9] = 0, 1
    Image.fromarray(np.concatenate([picture(0), alpha], axis=2)).save(tmp_path / "a.png")
    save(tmp_path, "b.png", 1)
    images = load_photos(tmp_path)
    assert images.photos[0].mask_path == tmp_path / "a.png"
    mask = images.read_mask(images.photos[0])
    assert not mask[:, :5].any()
    assert mask[:, 5:].all()
    np.testing.assert_array_equal(images.read_pixels(images.photos[0])[:, 5:], picture(0)[:, 5:])


def test_every_mode_becomes_rgb(tmp_path: Path) -> None:
    grey = picture(0)[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "grey16.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "grey16.tif")
    Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "float.tif")
    Image.fromarray(picture(1)).quantize(64).save(tmp_path / "palette.png")
    Image.fromarray(picture(2)).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    Image.fromarray(grey).convert("1").save(tmp_path / "bilevel.png")
    images = load_photos(tmp_path)
    assert images.names == ("bilevel.png", "cmyk.jpg", "float.tif", "palette.png")
    same = dict.fromkeys(("grey.png", "grey16.png", "grey16.tif"), "shows the same pixels as float.tif")
    assert dict(images.skipped) == same
    by_name = dict(zip(images.names, images.photos, strict=True))
    np.testing.assert_array_equal(images.read_pixels(by_name["float.tif"]), np.repeat(grey[..., None], 3, 2))
    assert np.abs(images.read_pixels(by_name["cmyk.jpg"]).astype(int) - picture(2)).mean() < 4
    assert np.abs(images.read_pixels(by_name["palette.png"]).astype(int) - picture(1)).mean() < 12


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_colour_is_scaled(tmp_path: Path, suffix: str) -> None:
    deep = picture(0)[..., ::-1].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / f"a{suffix}"), deep)
    save(tmp_path, "b.png", 1)
    images = load_photos(tmp_path)
    assert np.abs(images.read_pixels(images.photos[0]).astype(int) - picture(0)).max() <= 1


def test_focal_lengths(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    phone = exif({FOCAL_35MM: 26, FOCAL_LENGTH: 4.2}, make="Maker", model="Phone 1\0")
    save(tmp_path, "a.jpg", 0, (64, 48), exif=phone)
    sensor = exif({FOCAL_LENGTH: 8.0, PLANE_X_RESOLUTION: 100.0, PLANE_UNIT: 3, WIDTH: 128}, make="Maker")
    save(tmp_path, "b.jpg", 1, (64, 48), exif=sensor)
    save(tmp_path, "c.jpg", 2, (64, 48), exif=exif({FOCAL_35MM: 3000}))
    save(tmp_path, "d.jpg", 3, (64, 48), exif=exif({FOCAL_LENGTH: 4.2}))
    with caplog.at_level(logging.WARNING):
        images = load_photos(tmp_path)
    focal = [photo.focal_px for photo in images.photos]
    assert focal[0] == pytest.approx(26 / math.hypot(36, 24) * 80)
    assert focal[1] == pytest.approx(8.0 / 10 * 100 * 64 / 128)
    assert focal[2:] == [None, None]
    assert "c.jpg: the EXIF focal length" in caplog.text
    assert images.photos[0].camera_model == "Maker|Phone 1|4.2mm/26mm|64x48"
    assert images.photos[2].camera_model is None


def test_damaged_photos_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, "a.jpg", 0, (256, 192))
    save(tmp_path, "b.jpg", 1, (256, 192))
    whole = save(tmp_path, "cut.jpg", 2, (256, 192)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    whole_png = save(tmp_path, "cut.png", 3, (256, 192)).read_bytes()
    (tmp_path / "cutpng.png").write_bytes(whole_png[: len(whole_png) // 2])
    (tmp_path / "cut.png").unlink()
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "raw.CR2").write_bytes(b"II*\0")
    (tmp_path / "copy.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    Image.open(tmp_path / "b.jpg").save(tmp_path / "same.png")
    images = load_photos(tmp_path)
    assert images.names == ("a.jpg", "b.jpg")
    reasons = dict(images.skipped)
    assert set(reasons) == {"cut.jpg", "cutpng.png", "empty.jpg", "text.png", "raw.CR2", "copy.jpg", "same.png"}
    assert "truncated" in reasons["cut.jpg"]
    assert "same file as a.jpg" in reasons["copy.jpg"]
    assert "same pixels as b.jpg" in reasons["same.png"]
    assert "text.png: left out" in caplog.text


def test_huge_photos_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("a.png", "b.png")):
        save(tmp_path, name, seed)
    save(tmp_path, "bomb.png", 9, (600, 600))
    monkeypatch.setattr(px, "MAX_PIXELS", 300_000)
    assert "600x600" in dict(load_photos(tmp_path).skipped)["bomb.png"]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    assert "too large" in dict(load_photos(tmp_path).skipped)["bomb.png"]


def test_one_photo_is_too_few(tmp_path: Path) -> None:
    save(tmp_path, "a.jpg", 0)
    (tmp_path / "b.jpg").write_text("broken")
    with pytest.raises(InputError, match=r"found 1 readable photo, need at least 2; left out: b\.jpg is not an image"):
        load_photos(tmp_path)


def test_wrong_folders_and_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_photos(tmp_path / "nowhere")
    save(tmp_path / "photos", "IMG_1.jpg", 0)
    with pytest.raises(InputError, match="is a file"):
        load_photos(tmp_path / "photos" / "IMG_1.jpg")
    with pytest.raises(InputError, match=r"found 0 readable photos.*its folder photos"):
        load_photos(tmp_path)
    save(tmp_path / "photos", "IMG_2.jpg", 1)
    save(tmp_path / "photos", "IMG_3.jpg", 2)
    with pytest.raises(InputError, match=r"no photo named IMG_2\.JPG; did you mean IMG_2\.jpg"):
        load_photos(tmp_path / "photos", names=["IMG_2.JPG"])
    assert load_photos(tmp_path / "photos", names=["IMG_3.jpg", "IMG_1.jpg"]).names == ("IMG_1.jpg", "IMG_3.jpg")


def test_heic_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    save(tmp_path, "a.jpg", 0)
    (tmp_path / "b.heic").write_bytes(b"ftypheic")
    with pytest.raises(MissingDependency, match=r"pip install 'sparse3d\[heic\]'"):
        load_photos(tmp_path)


def test_heic_is_read_upright(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    for seed in range(2):
        stored = Image.fromarray(px.turn_upright(picture(seed, (96, 64)), 8))
        stored.save(tmp_path / f"{seed}.heic", exif=exif({FOCAL_35MM: 28}, orientation=6).tobytes(), quality=95)
    images = load_photos(tmp_path)
    assert images.sizes == ((96, 64),) * 2
    assert np.abs(images.read_pixels(images.photos[0]).astype(int) - picture(0, (96, 64))).mean() < 5
    assert images.photos[0].focal_px == pytest.approx(28 / math.hypot(36, 24) * math.hypot(96, 64))


def test_a_photo_that_changes_afterwards_is_reported(tmp_path: Path) -> None:
    save(tmp_path, "a.png", 0)
    save(tmp_path, "b.png", 1)
    images = load_photos(tmp_path)
    save(tmp_path, "a.png", 0, (20, 20))
    with pytest.raises(InputError, match=r"a\.png: is 20x20, expected 48x32"):
        images.read_pixels(images.photos[0])
    (tmp_path / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png: does not exist"):
        images.read_pixels(images.photos[1])


def test_many_photos_are_allowed_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for seed in range(25):
        save(tmp_path, f"{seed:02d}.png", seed)
    assert len(load_photos(tmp_path)) == 25
    assert "--images" in caplog.text
