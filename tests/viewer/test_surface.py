"""Depth as a surface, a run's mesh, and comparisons."""

import json
import logging
import struct

import numpy as np
import pytest
import torch

from sparse3d.core.cameras import Cameras, intrinsics_matrix

pytest.importorskip("viser", reason="viser is not installed")

import trimesh

from sparse3d_viewer.compare import compare
from sparse3d_viewer.frame import DisplayFrame
from sparse3d_viewer.photos import PhotoPair
from sparse3d_viewer.surface import depth_surface, read_mesh, to_glb

FRAME = DisplayFrame(2.0, np.eye(3), np.array([0.0, 0.0, 1.0]))


def small_camera() -> Cameras:
    return Cameras.build(
        torch.eye(4, dtype=torch.float64)[None], intrinsics_matrix(10.0, 10.0, 4.0, 3.0)[None], [(8, 6)]
    )


def test_surface_is_torn_at_edges_and_faces_the_photo():
    depth = np.full((6, 8), 2.0)
    depth[:, 4:] = 3.0
    depth[0, 0] = 0.0
    mesh = depth_surface(depth, np.zeros((6, 8, 3), np.uint8), small_camera(), FRAME)
    assert len(mesh.faces) == 2 * (2 * 3 * 5 - 1), "no quad across the edge, none at the hole"
    assert set(np.round(mesh.vertices[:, 2], 9)) == {2.0, 4.0}, "depths 2 and 3 in display units"
    assert (mesh.face_normals[:, 2] < -0.99).all()
    uv = mesh.visual.uv
    pixels = uv * [8, -6] + [0, 6]
    world = FRAME.to_world(mesh.vertices)
    assert np.allclose(10 * world[:, :2] / world[:, 2:] + [4, 3], pixels, atol=1e-6), "each point shows its own pixel"


def test_mesh_reaches_the_browser_unlit(tmp_path):
    box = trimesh.creation.box()
    box.visual.vertex_colors = [200, 100, 0, 255]
    box.export(tmp_path / "mesh.ply")
    mesh = read_mesh(tmp_path / "mesh.ply", FRAME)
    assert mesh is not None and np.allclose(mesh.extents, 2)
    glb = to_glb(mesh)
    length = struct.unpack("<I", glb[12:16])[0]
    document = json.loads(glb[20 : 20 + length])
    assert document["extensionsUsed"] == ["KHR_materials_unlit"]
    assert all("KHR_materials_unlit" in m["extensions"] and m["doubleSided"] for m in document["materials"])


@pytest.mark.parametrize("content", [b"", b"ply\nnonsense", b"\x00" * 100])
def test_a_broken_mesh_is_left_out(tmp_path, caplog, content):
    (tmp_path / "mesh.ply").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert read_mesh(tmp_path / "mesh.ply", FRAME) is None
    assert "mesh.ply" in caplog.text
    assert read_mesh(tmp_path / "none.ply", FRAME) is None


def test_comparison_fits_any_window():
    camera = small_camera()
    pair = PhotoPair(camera, np.full((6, 8, 3), 250, np.uint8), np.full((6, 8, 3), 10, np.uint8))
    wide = compare(pair, "Photo | rendering", 0.25, (160, 60), (0, 0, 255))
    assert wide.shape == (60, 160, 3)
    assert (wide[:, :40] == [0, 0, 255]).all() and (wide[:, 120:] == [0, 0, 255]).all()
    assert (wide[:, 42:58] == 250).all() and (wide[:, 63:118] == 10).all()
    tall = compare(pair, "Rendering | difference", 1.0, (16, 60), (0, 0, 255))
    assert (tall[24:36] == 10).all() and (tall[:20] == [0, 0, 255]).all()
