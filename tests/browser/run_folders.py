"""A run folder whose every picture is known: red top left, green top right, blue bottom left."""

from pathlib import Path

import numpy as np
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.io.atomic import make_folder
from sparse3d.io.depth_files import write_depth_npz
from sparse3d.io.gaussian_layers import write_gaussian_layer
from sparse3d.io.image_files import write_jpeg, write_png
from sparse3d.io.json_files import write_json
from sparse3d.io.run_folder import RunFolder, write_reconstruction
from sparse3d.pipeline.coverage import ANGLE_LAYER, SEEN_LAYER

BLOBS = {
    "red": ((-0.8, -0.6, 4.0), (0.9, 0.05, 0.05)),
    "green": ((0.8, -0.6, 4.0), (0.05, 0.8, 0.05)),
    "blue": ((-0.8, 0.6, 4.0), (0.05, 0.05, 0.9)),
}
"""Centre in the world, whose axes are the first camera's (x right, y down, z forward), and colour."""

PHOTO_SIZE = (640, 480)
PHOTOS = {"first.jpg": (220, 0, 220), "second.jpg": (230, 200, 0)}
"""The first photo is magenta, the second yellow."""

SPLATS_A_BLOB = 600


def known_cameras(scale: float) -> Cameras:
    """The first looks along z from the origin; the second stands to the right, lower, turned left and rolled."""
    roll = se3.so3_exp(torch.tensor([0.0, 0.0, 0.35], dtype=torch.float64))
    turn = se3.so3_exp(torch.tensor([0.0, 0.45, 0.0], dtype=torch.float64))
    rotation = roll @ turn
    centre = torch.tensor([1.6, 0.3, 0.2], dtype=torch.float64)
    second = se3.compose(rotation, -rotation @ centre)
    cam_from_world = torch.stack([torch.eye(4, dtype=torch.float64), second])
    cam_from_world[:, :3, 3] *= scale
    width, height = PHOTO_SIZE
    intrinsics = intrinsics_matrix(700.0, 700.0, width / 2, height / 2).expand(2, 3, 3).clone()
    return Cameras.build(cam_from_world, intrinsics, [PHOTO_SIZE] * 2, names=list(PHOTOS))


def known_scene(scale: float = 1.0) -> Reconstruction:
    """The scene, with a unit of a chosen length. The blue blob was seen by no photo, the green one with little confidence."""
    generator = torch.Generator().manual_seed(0)
    offsets = 0.09 * torch.randn(len(BLOBS), SPLATS_A_BLOB, 3, generator=generator)
    means = (torch.tensor([centre for centre, _ in BLOBS.values()])[:, None] + offsets).reshape(-1, 3)
    colours = torch.tensor([colour for _, colour in BLOBS.values()])
    n = len(means)
    gaussians = GaussianParams(
        means=scale * means,
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
        log_scales=torch.full((n, 3), 0.03 * scale).log(),
        logit_opacities=torch.full((n,), 0.8).logit(),
        sh=colour_to_sh0(colours.repeat_interleave(SPLATS_A_BLOB, 0)),
        confidence=torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(SPLATS_A_BLOB),
        observations=torch.tensor([2, 1, 0], dtype=torch.int32).repeat_interleave(SPLATS_A_BLOB),
    )
    provenance = Provenance(
        prior="known",
        settings={},
        seed=0,
        versions={},
        warnings=("/home/somebody/photos/blurred.jpg is blurred & <b>dark</b>",),
        unplaced=(("third.jpg", "too few matches"),),
        train_px=(700.0, 700.0),
    )
    return Reconstruction(known_cameras(scale), gaussians, provenance)


def write_known_run(folder: Path, scene: Reconstruction, scale: float = 1.0, *, layers: bool = True) -> Path:
    """A run folder of the scene: plain photos, a grey rendering, depth of a wall 4 away, black sparse points, a mesh.

    Args:
        layers: with the layer "Coverage", which is high in the red blob, low in the green one and unknown in the blue one,
            and two of those that every run has: four photos saw the red blob, two the green one, none the blue one.
    """
    run = RunFolder.create(folder)
    spread = 0.02 * np.mgrid[-3:4, -3:4, 0:1].reshape(3, -1).T
    positions = scale * torch.from_numpy(np.array([[0.8, 0.6, 4.0]]) + spread)
    count = len(positions)
    points = SparsePoints(
        points=positions,
        colours=torch.zeros(count, 3, dtype=torch.float64),
        errors_px=torch.ones(count, dtype=torch.float64),
        track_views=torch.arange(2).repeat(count),
        track_points=torch.arange(count).repeat_interleave(2),
        track_pixels=torch.full((2 * count, 2), 100.0, dtype=torch.float64),
    )
    write_reconstruction(run, scene, points)
    write_json(run.evaluation, {"held_out": {"aligned": {"psnr": 24.31}}})
    width, height = PHOTO_SIZE
    for name, colour in PHOTOS.items():
        for path in (run.photo(name), run.rendering(name), run.depth(name)):
            make_folder(path.parent)
        write_jpeg(run.photo(name), np.full((height, width, 3), colour, np.uint8))
        write_png(run.rendering(name), np.full((height, width, 3), 128, np.uint8))
        depth = np.full((height, width), 4.0 * scale, np.float32)
        write_depth_npz(run.depth(name), depth, np.ones_like(depth))
    if layers:
        write_gaussian_layer(run.layers, "Coverage", np.repeat([5.0, 0.0, np.nan], SPLATS_A_BLOB))
        write_gaussian_layer(run.layers, SEEN_LAYER, np.repeat([4.0, 2.0, 0.0], SPLATS_A_BLOB))
        write_gaussian_layer(run.layers, ANGLE_LAYER, np.repeat([30.0, 15.0, 0.0], SPLATS_A_BLOB))
    run.mesh.write_text(_MESH.format(s=scale, near=3 * scale, half=0.2 * scale))
    return folder


_MESH = """ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
element face 2
property list uchar int vertex_indices
end_header
-{half} -{half} {near} 0 170 170
{half} -{half} {near} 0 170 170
{half} {half} {near} 0 170 170
-{half} {half} {near} 0 170 170
3 0 2 1
3 0 3 2
"""
