"""Depth from the built-in stereo on a ray-cast scene with exact depth: a slanted wall and a sphere, both textured."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import CameraPrior, SparsePoints
from sparse3d.core.images import ImageSet, Photo
from sparse3d.io.cameras_json import read_cameras_json
from sparse3d.io.photos import load_photos
from sparse3d.io.scenes import materialise_scene
from sparse3d.kernels.library import KernelUnavailable
from sparse3d.kernels.patchmatch import patchmatch as patchmatch_cpu
from sparse3d.priors.stereo import patchmatch, surfaces
from sparse3d.priors.stereo.depth import estimate_depth, load_views
from sparse3d.priors.stereo.depth_config import DepthConfig
from sparse3d.priors.stereo.prior import StereoPrior
from sparse3d.priors.stereo.reconcile import COMPLETED_CONFIDENCE

SPHERE_CENTRE, SPHERE_RADIUS = np.array([0.15, 0.0, 3.2]), 0.7
WALL_NORMAL, WALL_OFFSET = np.array([0.25, 0.1, -1.0]), -4.5


def texture(points: np.ndarray) -> np.ndarray:
    """A fixed pattern in space: three octaves of trilinear value noise a channel."""
    noise = np.random.default_rng(3).random((3, 24, 24, 24)).astype(np.float32)
    colour = np.zeros((*points.shape[:-1], 3))
    for octave, weight in ((5.0, 0.5), (11.0, 0.3), (23.0, 0.2)):
        q = points * octave
        base = np.floor(q).astype(int)
        f = q - base
        for corner in np.ndindex(2, 2, 2):
            w = np.prod(np.where(np.array(corner), f, 1 - f), axis=-1)[..., None]
            at = (base + np.array(corner)) % 24
            colour += weight * w * np.moveaxis(noise[:, at[..., 0], at[..., 1], at[..., 2]], 0, -1)
    return np.clip((colour - 0.5) * 1.8 + 0.5, 0, 1)


def ray_cast(K: np.ndarray, cam_from_world: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The picture as bytes and the exact z-depth."""
    xs, ys = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    rotation, centre = cam_from_world[:3, :3], -cam_from_world[:3, :3].T @ cam_from_world[:3, 3]
    rays = np.stack([xs, ys, np.ones_like(xs)], -1) @ np.linalg.inv(K).T @ rotation  # z-depth 1 in the camera
    depth = (WALL_OFFSET - centre @ WALL_NORMAL) / (rays @ WALL_NORMAL)
    offset = centre - SPHERE_CENTRE
    a, b, c = (rays**2).sum(-1), rays @ offset, offset @ offset - SPHERE_RADIUS**2
    square = b * b - a * c
    hit = square > 0
    near = (-b - np.sqrt(np.where(hit, square, 0))) / a
    depth = np.where(hit & (near > 0), np.minimum(depth, near), depth)
    return np.rint(texture(centre + rays * depth[..., None]) * 255).astype(np.uint8), depth


class Scene:
    """Photos, cameras, sparse points and exact depth."""

    def __init__(self, positions: list[tuple[float, float]], sizes: list[tuple[int, int]], masked: bool = False):
        poses, Ks, self.depths, pixels = [], [], [], {}
        for i, ((x, y), size) in enumerate(zip(positions, sizes, strict=True)):
            centre, target = np.array([x, y, 0.0]), np.array([0.0, 0.0, 3.8])
            z = (target - centre) / np.linalg.norm(target - centre)
            right = np.cross([0, 1.0, 0], z)
            right /= np.linalg.norm(right)
            pose = np.eye(4)
            pose[:3, :3] = np.stack([right, np.cross(z, right), z])
            pose[:3, 3] = -pose[:3, :3] @ centre
            K = np.array([[1.1 * size[0], 0, size[0] / 2], [0, 1.1 * size[0], size[1] / 2], [0, 0, 1]])
            picture, depth = ray_cast(K, pose, size)
            pixels[f"{i}.png"] = picture
            self.depths.append(depth)
            poses.append(torch.from_numpy(pose))
            Ks.append(torch.from_numpy(K))
        self.cameras = Cameras.build(torch.stack(poses), torch.stack(Ks), sizes, names=list(pixels))
        photos = tuple(Photo(Path(n), n, s, None, None, n, None) for n, s in zip(pixels, sizes, strict=True))

        def read_mask(photo: Photo) -> np.ndarray:
            mask = np.ones((photo.size[1], photo.size[0]), bool)
            if masked:
                mask[: photo.size[1] // 4] = False
            return mask

        self.images = ImageSet(photos, lambda photo: pixels[photo.name], read_mask)
        self.prior = CameraPrior(self.cameras, self._points(poses, Ks), (), (), "known")

    def _points(self, poses: list, Ks: list) -> SparsePoints:
        """Sixty exact points of the first view, seen by every view."""
        height, width = self.depths[0].shape
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, width, 60), rng.integers(0, height, 60)
        rays = np.stack([x + 0.5, y + 0.5, np.ones(60)], -1) @ np.linalg.inv(Ks[0].numpy()).T
        pose = poses[0].numpy()
        world = (rays * self.depths[0][y, x, None] - pose[:3, 3]) @ pose[:3, :3]
        views = len(poses)
        return SparsePoints(
            points=torch.from_numpy(world).float(),
            colours=torch.zeros(60, 3),
            errors_px=torch.zeros(60),
            track_views=torch.arange(views).repeat_interleave(60),
            track_points=torch.arange(60).repeat(views),
            track_pixels=torch.zeros(60 * views, 2),
        )

    def errors(self, result) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Relative error, confidence and support over all pixels that count."""
        columns = []
        for truth, found, mask in zip(self.depths, result.depths, result.masks, strict=True):
            height, width = found.depth.shape
            resized = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST)
            error = np.abs(found.depth.numpy() / resized - 1)
            columns.append([a[mask.numpy() > 0.5] for a in (error, found.confidence.numpy(), found.support.numpy())])
        error, confidence, support = (np.concatenate(column) for column in zip(*columns, strict=True))
        return error, confidence, support


CONFIG = DepthConfig(max_side=256)


@pytest.fixture(scope="module")
def three_views():
    scene = Scene([(-0.4, 0.0), (0.0, 0.05), (0.4, 0.0)], [(256, 192), (256, 192), (192, 160)])
    return scene, estimate_depth(scene.prior, scene.images, CONFIG)


@pytest.fixture(scope="module")
def wide_views():
    scene = Scene([(-1.6, 0.0), (0.0, 0.1), (1.6, -0.1)], [(256, 192)] * 3)
    return scene, estimate_depth(scene.prior, scene.images, CONFIG)


def test_depth_is_accurate_and_complete(three_views):
    scene, result = three_views
    error, confidence, _ = scene.errors(result)
    assert np.median(error) < 0.005
    assert (error > 0.03).mean() < 0.08
    assert (confidence > 0.5).mean() > 0.6
    assert all((depth.depth > 0).all() for depth in result.depths)


def test_confidence_tells_right_from_wrong(three_views):
    scene, result = three_views
    error, confidence, support = scene.errors(result)
    assert (error[confidence > 0.8] < 0.01).mean() > 0.9
    assert error[confidence > 0.5].mean() < 0.5 * error[confidence <= 0.2].mean()
    assert (confidence[support == 0] <= COMPLETED_CONFIDENCE).all()
    assert support.max() <= 2 and confidence.max() <= 1


def test_a_wide_baseline(wide_views):
    """25 degrees between neighbours: windows meet only where they are warped by the surface's slant."""
    scene, result = wide_views
    error, confidence, _ = scene.errors(result)
    sure = confidence > 0.5
    assert sure.mean() > 0.3
    assert np.median(error[sure]) < 0.003 and (error[sure] < 0.01).mean() > 0.85


def test_without_the_kernels_depth_comes_from_the_sweep_and_says_so(monkeypatch, caplog):
    scene = Scene([(-0.4, 0.0), (0.0, 0.05), (0.4, 0.0)], [(256, 192)] * 3)
    monkeypatch.setattr(surfaces, "is_available", lambda: False)
    error, confidence, _ = scene.errors(estimate_depth(scene.prior, scene.images, CONFIG))
    assert np.median(error) < 0.005 and (confidence > 0.5).mean() > 0.5
    assert sum("plane sweep alone" in record.message for record in caplog.records) == 1


def test_the_gpu_is_used_when_it_is_asked_for(monkeypatch):
    scene = Scene([(-0.2, 0.0), (0.2, 0.0)], [(96, 72)] * 2)
    calls = []

    def on_gpu(*given):
        calls.append(given)
        return patchmatch_cpu(*given)

    monkeypatch.setattr(surfaces, "require_gpu", lambda: None)
    monkeypatch.setattr(patchmatch, "patchmatch_cuda", on_gpu)
    expected, found = (
        estimate_depth(scene.prior, scene.images, DepthConfig(max_side=96, device=device)) for device in ("cpu", "cuda")
    )
    rounds = sum(len(stage) for stage in CONFIG.patchmatch.stages)
    assert len(calls) == 2 * rounds
    assert all(torch.equal(a.depth, b.depth) for a, b in zip(found.depths, expected.depths, strict=True))


def test_a_gpu_that_is_not_there_is_named_before_anything_is_computed(monkeypatch):
    def no_gpu():
        raise KernelUnavailable("the NVIDIA driver sees no GPU")

    scene = Scene([(-0.2, 0.0), (0.2, 0.0)], [(96, 72)] * 2)
    monkeypatch.setattr(surfaces, "require_gpu", no_gpu)
    monkeypatch.setattr(surfaces, "_first_pass", lambda problem: pytest.fail("the first pass ran"))
    with pytest.raises(KernelUnavailable, match=r"sees no GPU; depth.device 'cpu'"):
        estimate_depth(scene.prior, scene.images, DepthConfig(max_side=96, device="cuda"))


def test_confidence_is_a_probability_on_the_courtyard(tmp_path):
    """Of the depths that are said to be right with 0.9 or more, nine in ten are; those less sure are less often so."""
    root = materialise_scene("courtyard", tmp_path / "courtyard")
    names = tuple(json.loads((root / "split.json").read_text())["sparse3"]["train"])
    images = load_photos(root / "images", names=names)
    cameras = read_cameras_json(root / "cameras.json")
    at = {Path(name).name: i for i, name in enumerate(cameras.names)}
    known = cameras.select([at[name] for name in names]).replace(names=names)
    files = {
        Path(e["file"]).name: root / e["depth"] for e in json.loads((root / "cameras.json").read_text())["cameras"]
    }
    prior = StereoPrior(depth=DepthConfig(max_side=240))
    result = prior.estimate_geometry(images, prior.estimate_cameras(images, known, seed=0))
    columns = []
    for name, found in zip(names, result.depths, strict=True):
        truth = np.asarray(Image.open(files[name])).astype(np.float32) / 1000
        truth = cv2.resize(truth, found.depth.shape[::-1], interpolation=cv2.INTER_NEAREST)
        error = np.abs(found.depth.numpy() / np.maximum(truth, 1e-6) - 1)
        columns.append([a[truth > 0] for a in (error, found.confidence.numpy())])
    error, confidence = (np.concatenate(column) for column in zip(*columns, strict=True))
    right = error < 0.01
    assert right[confidence >= 0.9].mean() > 0.9 and (confidence >= 0.9).mean() > 0.4
    assert right[(confidence > 0.2) & (confidence < 0.8)].mean() < right[confidence >= 0.9].mean()
    assert right[confidence < 0.2].mean() < 0.6


def test_memory_grows_with_the_views_and_not_with_their_square():
    """What a view keeps a pixel of the others, it keeps of its neighbours alone."""
    scene = Scene([(0.1 * i, 0.0) for i in range(7)], [(48, 36)] * 7)
    config = DepthConfig(max_side=48, max_planes=16, neighbours=2)
    views, _ = load_views(scene.cameras, scene.images, config.max_side)
    found = surfaces.estimate_surfaces(views, scene.prior.points, config)
    assert all(len(surface.visible) == 2 for surface in found)


def test_result_is_at_working_resolution_in_the_order_of_the_photos(three_views):
    scene, result = three_views
    assert result.cameras.names == scene.cameras.names
    assert result.cameras.sizes == ((256, 192), (256, 192), (192, 160))
    assert [tuple(image.shape) for image in result.images] == [(192, 256, 3), (192, 256, 3), (160, 192, 3)]
    assert result.full_cameras is scene.cameras


def test_two_views_without_sparse_points():
    scene = Scene([(-0.2, 0.0), (0.2, 0.0)], [(256, 192)] * 2)
    empty = SparsePoints(*(torch.zeros(s) for s in ((0, 3), (0, 3), (0,))), *(torch.zeros(0, dtype=torch.int64),) * 2,
                         track_pixels=torch.zeros(0, 2))  # fmt: skip
    prior = CameraPrior(scene.cameras, empty, (), (), "known")
    error, confidence, _ = scene.errors(estimate_depth(prior, scene.images, CONFIG))
    assert np.median(error[confidence > 0.5]) < 0.01
    assert (confidence > 0.5).mean() > 0.4


def test_masked_pixels_have_no_depth():
    scene = Scene([(-0.2, 0.0), (0.2, 0.0)], [(128, 96)] * 2, masked=True)
    result = estimate_depth(scene.prior, scene.images, CONFIG)
    for depth, mask in zip(result.depths, result.masks, strict=True):
        assert (mask[:20] == 0).all() and (mask[30:] == 1).all()
        assert (depth.depth[mask == 0] == 0).all() and (depth.confidence[mask == 0] == 0).all()
        assert (depth.depth[mask == 1] > 0).all()


def test_the_same_input_gives_the_same_bytes():
    scene = Scene([(-0.2, 0.0), (0.2, 0.0)], [(128, 96)] * 2)
    first, second = (estimate_depth(scene.prior, scene.images, CONFIG) for _ in range(2))
    for a, b in zip(first.depths, second.depths, strict=True):
        assert torch.equal(a.depth, b.depth) and torch.equal(a.confidence, b.confidence)


def test_one_view_is_an_error():
    scene = Scene([(-0.2, 0.0), (0.2, 0.0)], [(64, 48)] * 2)
    alone = CameraPrior(scene.cameras.select([0]), scene.prior.points, (), (), "known")
    with pytest.raises(ValueError, match="at least 2"):
        estimate_depth(alone, scene.images, CONFIG)


def test_cameras_in_one_place_are_an_error():
    scene = Scene([(0.0, 0.0), (0.0, 0.0)], [(64, 48)] * 2)
    with pytest.raises(InputError, match="one place"):
        estimate_depth(scene.prior, scene.images, CONFIG)
