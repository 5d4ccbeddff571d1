"""Damaged surface files are refused with the file's name."""

import pytest

from sparse3d.core.errors import InputError
from sparse3d.io.surfaces import read_surface

HEAD = "ply\nformat ascii 1.0\nelement vertex {n}\nproperty float x\nproperty float y\nproperty float z\n"
FACE = "element face 1\nproperty list uchar int vertex_indices\n"
END = "end_header\n"
THREE = "0 0 0\n1 0 0\n0 1 0\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is no PLY file"),
        ("solid stl", "is no PLY file"),
        (HEAD.format(n=3) + END + "0 0 0\n", "is no PLY file"),
        (HEAD.format(n=0) + END, "holds 0 vertices"),
        (HEAD.format(n=3).replace("float z", "float q") + END + THREE, "is no PLY file"),
        (HEAD.format(n=3) + END + THREE.replace("1 0 0", "nan 0 0"), "NaN or infinite"),
        (HEAD.format(n=3) + FACE + END + THREE + "3 0 1 7\n", "faces of vertices that are not there"),
        (HEAD.format(n=3) + FACE.replace("vertex_indices", "corners") + END + THREE + "3 0 1 2\n", "is no PLY file"),
        (HEAD.format(n=999_999_999_999) + END + THREE, "is no PLY file"),
    ],
)
def test_damaged_files(tmp_path, text, expected):
    path = tmp_path / "surface.ply"
    path.write_text(text)
    with pytest.raises(InputError, match=r"surface\.ply.*" + expected):
        read_surface(path)
    with pytest.raises(InputError, match="no such file"):
        read_surface(tmp_path / "other.ply")
