"""Any method that left Gaussians and cameras behind: DIR/SCENE/SPLIT/ holds a PLY in the 3DGS layout, and the cameras.

The cameras may be our cameras.json, a COLMAP model, or anything else that `sparse3d reconstruct --cameras` reads. Without any the
Gaussians are taken to stand in the true cameras' world, which only a method that was given these can make.
"""

from functools import partial
from pathlib import Path

from sparse3d.bench.materials import Material
from sparse3d.bench.methods.interface import Method, Outcome, Provided, as_reconstruction
from sparse3d.core.errors import InputError
from sparse3d.io.known_cameras import holds_known_cameras, read_known_cameras
from sparse3d.io.photos import load_photos
from sparse3d.io.ply import read_gaussians_ply

FIRST_CHOICES = ("gaussians.ply", "point_cloud.ply")
"""Where a folder has several PLY files."""


def ply(argument: str) -> Method:
    """`ply:DIR`; its row in the tables has the name of DIR.

    Raises:
        InputError: no folder is named, or it is not there.
    """
    folder = Path(argument[1:])
    if not argument.startswith(":") or not folder.is_dir():
        raise InputError(f"ply{argument}: give the folder that holds SCENE/SPLIT/*.ply, as in ply:results/theirs")
    folder = folder.resolve()
    files = [
        (str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*.ply"))
    ]
    return Method(f"ply {folder.name}", {"files": [list(entry) for entry in files]}, partial(_run, folder))


def _run(root: Path, material: Material) -> Outcome:
    folder = root / material.scene / material.split
    gaussians = read_gaussians_ply(_ply_file(folder))
    images = load_photos(material.photos)
    given = folder if holds_known_cameras(folder) else material.known
    if given is None:
        raise InputError(f"{folder}: holds no cameras, which a method that was given none must leave behind")
    cameras = read_known_cameras(given, images)
    placed = [i for i, known in enumerate(cameras.pose_known) if known and cameras.intrinsics_known[i]]
    unplaced = tuple((n, "has no camera there") for i, n in enumerate(images.names) if i not in placed)
    provided = Provided(f"files of {root.name}", material.seed, unplaced)
    return Outcome(as_reconstruction(cameras.select(placed), gaussians, provided))


def _ply_file(folder: Path) -> Path:
    found = sorted(folder.glob("*.ply"))
    named = [path for path in found if path.name in FIRST_CHOICES]
    if len(named) == 1 or len(found) == 1:
        return (named or found)[0]
    raise InputError(f"{folder}: holds {len(found)} PLY files, need one, or one called {' or '.join(FIRST_CHOICES)}")
