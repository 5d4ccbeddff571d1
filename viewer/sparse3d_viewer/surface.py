"""Surfaces to show: a photo's depth as a mesh, and the run's own mesh where it has one."""

import io
import logging
from pathlib import Path

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.exchange.gltf import export_glb
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from sparse3d.core.cameras import Cameras, unproject
from sparse3d_viewer.frame import DisplayFrame

log = logging.getLogger(__name__)

MAX_SURFACE_POINTS = 60_000
"""Of one photo's depth: with colours about a megabyte for the browser."""

TORN_RELATIVE = 0.05
"""Neighbours whose depths differ by more than this share are not joined: they lie on different things."""

MAX_MESH_BYTES = 200 * 2**20
"""A larger mesh would stall the page."""


def depth_surface(
    depth: NDArray[np.floating], photo: NDArray[np.uint8], camera: Cameras, frame: DisplayFrame
) -> trimesh.Trimesh:
    """A photo's depth map as a coloured mesh in display units.

    Args:
        depth: z-depth (h w) in scene units; 0 where unknown, which leaves a hole.
        photo: (h w 3), of the same size.
        camera: one pinhole of that size.
    """
    height, width = depth.shape
    step = max(1, int(np.ceil(np.sqrt(height * width / MAX_SURFACE_POINTS))))
    points = unproject(torch.from_numpy(np.asarray(depth, np.float64))[None], camera)[0].numpy()[::step, ::step]
    coarse = depth[::step, ::step]
    rows, columns = coarse.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    corners = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1).reshape(-1, 4)
    around = coarse.reshape(-1)[corners]
    whole = (around.min(1) > 0) & (around.max(1) <= (1 + TORN_RELATIVE) * around.min(1))
    # Seen from the photo the corners run clockwise in x right, y down; faces are to show their front to it.
    quads = corners[whole]
    faces = np.concatenate([quads[:, [0, 2, 1]], quads[:, [0, 3, 2]]])
    used, faces = np.unique(faces, return_inverse=True)
    # Pixel centres in texture coordinates, whose v goes up.
    columns_used, rows_used = step * (used % columns), step * (used // columns)
    uv = np.stack([(columns_used + 0.5) / width, 1 - (rows_used + 0.5) / height], 1)
    material = PBRMaterial(baseColorTexture=_as_jpeg(photo))
    return trimesh.Trimesh(
        frame.to_display(points.reshape(-1, 3)[used]),
        faces.reshape(-1, 3),
        visual=TextureVisuals(uv=uv, material=material),
        process=False,
    )


def to_glb(mesh: trimesh.Trimesh) -> bytes:
    """The mesh for the browser, in its own colours whatever the light, seen from both sides."""
    if isinstance(mesh.visual, ColorVisuals):
        # glTF's vertex colours are linear light.
        rgb = np.asarray(mesh.visual.vertex_colors)[:, :3] / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        mesh = mesh.copy()
        mesh.visual = ColorVisuals(mesh, vertex_colors=np.round(255 * linear).astype(np.uint8))
    return export_glb(trimesh.Scene(mesh), tree_postprocessor=_unlit, unitize_normals=False)


def _unlit(tree: dict) -> None:
    """Edit a glTF document so that its materials are not shaded."""
    if not tree.get("materials"):
        tree["materials"] = [{}]
        for mesh in tree["meshes"]:
            for primitive in mesh["primitives"]:
                primitive["material"] = 0
    for material in tree["materials"]:
        material["doubleSided"] = True
        material["extensions"] = {"KHR_materials_unlit": {}}
    tree["extensionsUsed"] = ["KHR_materials_unlit"]


def _as_jpeg(photo: NDArray[np.uint8]) -> Image.Image:
    """An image that is sent as JPEG, which a photo needs a tenth of the bytes for."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=90)
    return Image.open(buffer)


def read_mesh(path: Path, frame: DisplayFrame) -> trimesh.Trimesh | None:
    """The run's mesh in display units; None where there is none or it cannot be read, which the log tells."""
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_MESH_BYTES:
        log.warning("%s: is larger than %d MB: not shown", path.name, MAX_MESH_BYTES // 2**20)
        return None
    try:
        mesh = trimesh.load(path, file_type="ply", force="mesh", process=False)
    except Exception as error:  # trimesh raises whatever its parser met
        log.warning("%s: is not a mesh that can be shown (%s)", path.name, error)
        return None
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0 or not np.isfinite(mesh.vertices).all():
        log.warning("%s: holds no faces, or points that are not finite: not shown", path.name)
        return None
    mesh.vertices = frame.to_display(mesh.vertices)
    return mesh
