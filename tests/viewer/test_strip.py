"""Held-out photos beside a running optimisation: which they are, where they belong, how they are measured and shown."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras
from sparse3d.core.geometry_prior import GeometryPrior, SparsePoints, ViewDepth
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.io.cameras_json import write_cameras_json
from sparse3d.io.image_files import write_png
from sparse3d.optim.progress import Progress, Snapshot
from sparse3d.render.rasterise import RenderOptions, rasterise

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer import strip
from sparse3d_viewer.held_out import HeldOutSource, read_held_out
from sparse3d_viewer.live_panel import LivePanel
from sparse3d_viewer.server import open_server
from sparse3d_viewer.strip import StripFeed, comparison_strip, score

NAMES = ("a.png", "b.png", "c.png")
SIZE = (160, 120)


@pytest.fixture(scope="module")
def scene() -> Reconstruction:
    """A coloured cloud, large enough to be seen."""
    found = make_reconstruction()
    held = found.gaussians
    floats = ("means", "quats_wxyz", "log_scales", "logit_opacities", "sh", "confidence")
    held = held.replace(**{name: getattr(held, name).float() for name in floats})
    sh = torch.randn(len(held), 1, 3, generator=torch.Generator().manual_seed(2))
    held = held.replace(log_scales=held.log_scales + 1.5, sh=sh)
    return found.replace(gaussians=held, cameras=found.cameras.replace(names=NAMES).resized([SIZE] * 3))


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory) -> Path:
    """Three photos of the scene."""
    target = tmp_path_factory.mktemp("photos")
    with torch.no_grad():
        pictures = rasterise(scene.gaussians.activate(), scene.cameras.to(torch.float32), options=RenderOptions()).rgb
    for name, picture in zip(NAMES, pictures, strict=True):
        write_png(target / name, np.round(255 * picture.clamp(0, 1).numpy()).astype(np.uint8))
    write_cameras_json(target / "cameras.json", scene.cameras)
    return target


def source(folder: Path, used: tuple[str, ...] = NAMES[:2]) -> HeldOutSource:
    return HeldOutSource(folder, folder / "cameras.json", used)


def moved(scene: Reconstruction) -> tuple[Reconstruction, Cameras]:
    """The scene in another world: five times as large, turned and shifted."""
    rotation = se3.so3_exp(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64))
    shift, scale = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64), torch.tensor(5.0, dtype=torch.float64)
    poses = se3.apply_sim3_to_cameras(scene.cameras.cam_from_world, scale, rotation, shift)
    held = scene.gaussians
    quats = se3.rotation_to_quat_wxyz(rotation @ se3.quat_wxyz_to_rotation(held.quats_wxyz.double())).float()
    held = held.replace(
        means=(5 * held.means.double() @ rotation.T + shift).float(),
        quats_wxyz=quats,
        log_scales=held.log_scales + float(np.log(5)),
    )
    cameras = scene.cameras.replace(cam_from_world=poses)
    return scene.replace(gaussians=held, cameras=cameras), cameras


def test_the_photo_that_is_not_used_is_found_and_fits(scene, folder):
    used = scene.cameras.select([0, 1])
    held = read_held_out(source(folder), used, 160)
    assert held is not None and [photo.name for photo in held.photos] == ["c.png"]
    assert held.photos[0].image.shape == (120, 160, 3)
    camera = held.camera(0, used)
    assert torch.allclose(camera.cam_from_world, scene.cameras.cam_from_world[2:], atol=1e-6)
    assert score(Snapshot(scene.gaussians, used), held.photos[0], camera) > 45
    worse = scene.gaussians.replace(means=scene.gaussians.means + 0.1)
    assert score(Snapshot(worse, used), held.photos[0], camera) < 30


def test_its_camera_follows_into_the_runs_own_world(scene, folder):
    other, cameras = moved(scene)
    used = cameras.select([1, 0])
    held = read_held_out(source(folder), used, 160)
    assert held is not None
    camera = held.camera(0, used)
    assert torch.allclose(camera.cam_from_world, cameras.cam_from_world[2:], atol=1e-6)
    assert score(Snapshot(other.gaussians, used), held.photos[0], camera) > 40


def test_pictures_have_the_size_that_is_trained_on(scene, folder):
    held = read_held_out(source(folder), scene.cameras.select([0, 1]), 80)
    assert held is not None and held.photos[0].camera.sizes == ((80, 60),)
    assert held.photos[0].image.shape == (60, 80, 3) and bool((held.photos[0].mask == 1).all())


@pytest.mark.parametrize("case", ["all used", "one place", "no photo"])
def test_without_a_photo_or_two_known_places_there_is_none(scene, folder, tmp_path, case):
    used = scene.cameras.select([0, 1])
    where = source(folder)
    if case == "all used":
        where = source(folder, NAMES)
    elif case == "one place":
        used = scene.cameras.select([0])
    else:
        where = dataclasses.replace(where, photos=tmp_path)
    assert read_held_out(where, used, 80) is None


def test_a_photo_that_cannot_be_read_is_told_and_left_out(scene, folder, tmp_path, caplog):
    (tmp_path / "c.png").write_bytes(b"no picture")
    where = dataclasses.replace(source(folder), photos=tmp_path)
    assert read_held_out(where, scene.cameras.select([0, 1]), 80) is None
    assert "c.png" in caplog.text


def prior_of(scene: Reconstruction) -> GeometryPrior:
    cameras = scene.cameras.select([0, 1])
    empty = torch.zeros(0, dtype=torch.int64)
    flat = ViewDepth(*(torch.zeros(120, 160) for _ in range(2)), torch.zeros(120, 160, dtype=torch.int32))
    return GeometryPrior(
        cameras=cameras,
        depths=(flat, flat),
        images=(torch.zeros(120, 160, 3), torch.ones(120, 160, 3)),
        masks=(torch.ones(120, 160),) * 2,
        full_cameras=cameras,
        points=SparsePoints(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0), empty, empty, torch.zeros(0, 2)),
        unplaced=(),
        warnings=(),
        source="known",
        scale_kind="global",
    )


@pytest.fixture
def panel():
    server = open_server("127.0.0.1", 0, title="test")
    yield LivePanel(server.gui)
    server.stop()


def at(iteration: int) -> Progress:
    return Progress(iteration, 100, 0.5, 20.0, 1.0, None)


def test_held_out_photos_come_first_and_are_measured_at_a_modest_rate(scene, folder, panel, monkeypatch):
    monkeypatch.setattr(strip, "MEASURE_SHARE", 1e-6)
    feed = StripFeed(panel, prior_of(scene), source(folder))
    now = Snapshot(scene.gaussians, scene.cameras.select([0, 1]))
    for iteration in (10, 20, 30):
        panel.note(at(iteration))
        feed.update(at(iteration), now)
    assert panel.photo.options == ("c.png (held out)", "a.png", "b.png") and panel.chosen == 0
    assert len(panel.held_out) == 1 and panel.held_out[0][1] > 45, "it would take more than its share"
    truth, rendering = panel.strip.image[:120].astype(int), panel.strip.image[120:240].astype(int)
    assert np.abs(truth - rendering).mean() < 2 and truth.max() > 100
    feed.update(at(100), now)
    assert [entry[0] for entry in panel.held_out] == [10, 100], "the end is measured whatever the time"
    panel.draw_curves()
    assert panel._both.visible and not panel._trained.visible
    assert len(panel._both.data) == 3 and (panel._both.data[2] > 45).all()
    panel.photo.value = "b.png"
    feed.update(at(100), now)
    assert (panel.strip.image[:100] > 250).all(), "the second photo trained on is white"
    monkeypatch.setattr(strip, "MEASURE_SHARE", 1e6)
    for _ in range(2):  # the share decides when the one after is due
        feed.update(at(100), now)
        feed.update(at(50), now)
    assert [entry[0] for entry in panel.held_out][3:] == [100, 50, 100, 50]


def test_without_held_out_photos_the_strip_says_so(scene, folder, panel):
    feed = StripFeed(panel, prior_of(scene), None)
    panel.note(at(10))
    feed.update(at(10), Snapshot(scene.gaussians, scene.cameras.select([0, 1])))
    assert panel.photo.options == ("a.png", "b.png") and not panel.held_out
    assert "No photo is held out" in panel.words.content and "--images" in panel.words.content
    assert (panel.strip.image[:100] == 0).all(), "the first photo is black"
    panel.draw_curves()
    assert panel._trained.visible and not panel._both.visible


def test_known_cameras_that_cannot_be_read_are_told(scene, folder, panel, tmp_path, caplog):
    (tmp_path / "cameras.json").write_text("{}")
    feed = StripFeed(panel, prior_of(scene), HeldOutSource(folder, tmp_path / "cameras.json", NAMES[:2]))
    feed.update(at(10), Snapshot(scene.gaussians, scene.cameras.select([0, 1])))
    assert "no held-out photos" in caplog.text and panel.strip is not None


def test_an_upright_photo_stands_beside_its_rendering(scene):
    cameras = scene.cameras.select([0]).resized([(60, 120)])
    picture = comparison_strip(Snapshot(scene.gaussians, cameras), torch.zeros(120, 60, 3), cameras)
    assert picture.shape == (120, 180, 3) and (picture[:, :55] == 0).all()
