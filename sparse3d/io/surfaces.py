"""True surfaces to measure against: a PLY file of points or of a mesh."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from plyfile import PlyData, PlyElement, PlyParseError

from sparse3d.core.errors import InputError

MAX_VERTICES = 200_000_000
_REMEDY = "export it again from the program that made it"


@dataclass(frozen=True)
class Surface:
    """Points, and the triangles between them where it is a mesh.

    Attributes:
        faces: indices into the vertices, none for a cloud of points.
    """

    vertices: Float[ndarray, "n 3"]
    faces: Int[ndarray, "m 3"]


def read_surface(path: Path) -> Surface:
    """Read a cloud of points or a mesh from a PLY file, text or binary, as float64; polygons become triangles.

    Raises:
        InputError: missing, no PLY, damaged, without vertices, or with values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        ply = PlyData.read(str(path))
        names = {element.name: element for element in ply.elements}
        vertices = np.stack([np.asarray(names["vertex"][axis], np.float64) for axis in "xyz"], 1)
        faces = _triangles(names.get("face"))
    except (PlyParseError, KeyError, ValueError, MemoryError, EOFError, StopIteration) as error:
        raise InputError(f"{path}: is no PLY file of points or a mesh ({error!r}); {_REMEDY}") from error
    if not 0 < len(vertices) <= MAX_VERTICES:
        raise InputError(f"{path}: holds {len(vertices)} vertices, expected 1 to {MAX_VERTICES}")
    if not np.isfinite(vertices).all():
        raise InputError(f"{path}: has vertices that are NaN or infinite; {_REMEDY}")
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise InputError(f"{path}: has faces of vertices that are not there; {_REMEDY}")
    return Surface(vertices, faces)


def _triangles(element: PlyElement | None) -> Int[ndarray, "m 3"]:
    """Faces as triangles; a polygon is a fan around its first corner."""
    if element is None or len(element.data) == 0:
        return np.zeros((0, 3), np.int64)
    lists = next(
        element.data[name] for name in ("vertex_indices", "vertex_index") if name in (element.data.dtype.names or ())
    )
    corners = np.array([len(face) for face in lists])
    parts = []
    for count in np.unique(corners[corners >= 3]):
        same = np.stack(list(lists[corners == count])).astype(np.int64)
        parts += [same[:, [0, k, k + 1]] for k in range(1, count - 1)]
    return np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)
