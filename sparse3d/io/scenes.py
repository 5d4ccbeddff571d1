"""Sample scenes: their manifests (`scenes/NAME/scene.toml`), and writing a scene out as a folder of photos.

A manifest holds `name`, `title`, `source`, `licence`, `views`, `unit`, `ground_truth` (of "cameras", "depth") and
`how_made`. Beside it lie `split.json` and, where the photos are ours to ship, `images/`, `cameras.json` and `depth/`.
A scene whose photos an installed package carries has a `[stereo_pair]` table instead; `materialise_scene` makes those
files from it.
Nothing is ever downloaded.
"""

import hashlib
import importlib.util
import io
import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt16
from PIL import Image

from sparse3d.core.errors import InputError
from sparse3d.io.atomic import atomic_write_bytes, atomic_write_text
from sparse3d.io.safe_paths import safe_join

SCENES_VARIABLE = "SPARSE3D_SCENES"
MANIFEST = "scene.toml"
MILLIMETRES_PER_METRE = 1000.0
LARGEST_DEPTH_MM = 65535  # what 16 bits hold; anything farther is written as unknown


@dataclass(frozen=True)
class StereoPair:
    """A rectified pair with disparity that an installed package carries; files are named as in its data folder.

    Pixels are those of the pictures at hand; `doffs_px` is the right principal point's x minus the left one's.
    """

    package: str
    left: str
    right: str
    disparity: str
    focal_px: float
    principal_point_px: tuple[float, float]
    doffs_px: float
    baseline_m: float
    sha256: dict[str, str]


@dataclass(frozen=True)
class SceneManifest:
    """What is known of a sample scene.

    `image_paths` is empty and `cameras_path` None until a scene that a package carries has been materialised.
    `split` maps a protocol ("sparse3") to {"train": file names, "test": file names}.
    """

    name: str
    title: str
    root: Path
    licence: str
    source: str
    how_made: str
    views: int
    unit: str
    ground_truth: tuple[str, ...]
    image_paths: tuple[Path, ...]
    cameras_path: Path | None
    split: dict[str, dict[str, tuple[str, ...]]]
    stereo_pair: StereoPair | None


def scenes_root() -> Path:
    """The folder of sample scenes: SPARSE3D_SCENES where set, else `scenes/` of the source checkout.

    Raises:
        InputError: there is no such folder.
    """
    named = os.environ.get(SCENES_VARIABLE)
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "scenes"
    if not any(root.glob(f"*/{MANIFEST}")):
        remedy = f"set {SCENES_VARIABLE} to the scenes folder of a source checkout"
        raise InputError(f"{root}: no sample scenes here (looked for */{MANIFEST}); {remedy}")
    return root


def list_scenes() -> list[str]:
    """Names of the sample scenes, sorted; raises as `scenes_root`."""
    return sorted(path.parent.name for path in scenes_root().glob(f"*/{MANIFEST}"))


def load_scene(name_or_path: str | Path) -> SceneManifest:
    """Read a scene's manifest by its name, or by a path to its folder (a Path, or a text with a separator in it).

    Raises:
        InputError: no such scene, or its files are malformed or contradict each other.
    """
    is_path = isinstance(name_or_path, Path) or any(sep in name_or_path for sep in ("/", os.sep))
    root = Path(name_or_path) if is_path else scenes_root() / name_or_path
    manifest_path = root / MANIFEST
    if not manifest_path.is_file():
        known = "" if is_path else f"; known scenes: {', '.join(list_scenes())}"
        raise InputError(f"{root}: not a sample scene, {MANIFEST} is missing{known}")
    try:
        fields = tomllib.loads(manifest_path.read_text(encoding="utf-8"))
        cameras_path = root / "cameras.json" if (root / "cameras.json").is_file() else None
        entries = _read_json(cameras_path)["cameras"] if cameras_path else []
        split = _read_json(root / "split.json")
        manifest = SceneManifest(
            **{key: fields[key] for key in ("name", "title", "licence", "source", "how_made", "views", "unit")},
            root=root,
            ground_truth=tuple(fields["ground_truth"]),
            image_paths=tuple(safe_join(root, entry["file"], root) for entry in entries),
            cameras_path=cameras_path,
            split={key: {part: tuple(names) for part, names in value.items()} for key, value in split.items()},
            stereo_pair=_stereo_pair(fields.get("stereo_pair")),
        )
    except (KeyError, TypeError, AttributeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{manifest_path}: not a scene manifest: {type(error).__name__}: {error}") from error
    _check(manifest)
    return manifest


def materialise_scene(name_or_path: str | Path, target_dir: Path) -> Path:
    """Write out `images/`, `cameras.json`, `split.json`, `scene.toml` and `depth/`; files already there are replaced.

    Returns:
        The target folder, which `load_scene` reads too.

    Raises:
        InputError: no such scene, the package that carries its photos is absent, or the target cannot be written.
    """
    scene = load_scene(name_or_path)
    target_dir = Path(target_dir)
    if target_dir.resolve() == scene.root.resolve():
        raise InputError(f"{target_dir}: is the scene's own folder; choose another one to write it to")
    if scene.cameras_path is not None:
        _copy_scene(scene, scene.cameras_path, target_dir)
    elif scene.stereo_pair is not None:
        _write_stereo_pair(scene.stereo_pair, target_dir)
    for name in ("split.json", MANIFEST):
        atomic_write_bytes(target_dir / name, (scene.root / name).read_bytes())
    return target_dir


def depth_from_disparity(disparity_px: Float32[np.ndarray, "h w"], pair: StereoPair) -> UInt16[np.ndarray, "h w"]:
    """z-depth of the left view in millimetres, 0 where the disparity is not finite.

    Z = f B / (d + doffs), Middlebury stereo data sets of 2014.
    """
    shifted = disparity_px.astype(np.float64) + pair.doffs_px
    known = np.isfinite(shifted) & (shifted > 0)
    depth_m = pair.focal_px * pair.baseline_m / np.where(known, shifted, np.inf)
    depth_mm = np.rint(MILLIMETRES_PER_METRE * depth_m)
    return np.where(depth_mm <= LARGEST_DEPTH_MM, depth_mm, 0).astype(np.uint16)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error


def _stereo_pair(fields: dict[str, Any] | None) -> StereoPair | None:
    if fields is None:
        return None
    cx, cy = fields["principal_point_px"]
    return StereoPair(**{**fields, "principal_point_px": (float(cx), float(cy))})


def _check(scene: SceneManifest) -> None:
    """A manifest's parts agree: number of views, photos on disk, names in the split."""
    if scene.cameras_path is None and scene.stereo_pair is None:
        raise InputError(f"{scene.root}: has neither cameras.json nor a [stereo_pair] table in {MANIFEST}")
    if scene.cameras_path is None:
        return
    if len(scene.image_paths) != scene.views:
        raise InputError(f"{scene.cameras_path}: holds {len(scene.image_paths)} cameras, {MANIFEST} says {scene.views}")
    missing = [path.name for path in scene.image_paths if not path.is_file()]
    names = {path.name for path in scene.image_paths}
    missing += sorted({n for parts in scene.split.values() for part in parts.values() for n in part} - names)
    if missing:
        raise InputError(f"{scene.root}: named in cameras.json or split.json but missing: {', '.join(missing)}")


def _copy_scene(scene: SceneManifest, cameras_path: Path, target_dir: Path) -> None:
    for entry in _read_json(cameras_path)["cameras"]:
        for relative in filter(None, (entry["file"], entry.get("depth"))):
            source = safe_join(scene.root, relative, scene.root)
            if not source.is_file():
                raise InputError(f"{source}: missing, though {cameras_path} names it")
            atomic_write_bytes(target_dir / relative, source.read_bytes())
    atomic_write_bytes(target_dir / "cameras.json", cameras_path.read_bytes())


def _write_stereo_pair(pair: StereoPair, target_dir: Path) -> None:
    content = {name: _carried_file(pair, name) for name in (pair.left, pair.right, pair.disparity)}
    with np.load(io.BytesIO(content[pair.disparity])) as archive:
        depth_mm = depth_from_disparity(archive["arr_0"], pair)
    png = io.BytesIO()
    Image.fromarray(depth_mm).save(png, format="PNG", optimize=True)
    atomic_write_bytes(target_dir / "images/left.png", content[pair.left])
    atomic_write_bytes(target_dir / "images/right.png", content[pair.right])
    atomic_write_bytes(target_dir / "depth/left.png", png.getvalue())
    height, width = depth_mm.shape
    left = _pair_camera(pair, "images/left.png", (width, height), on_the_right=False)
    right = _pair_camera(pair, "images/right.png", (width, height), on_the_right=True)
    document = {"version": 1, "axes": "opencv", "cameras": [{**left, "depth": "depth/left.png"}, right]}
    atomic_write_text(target_dir / "cameras.json", json.dumps(document, indent=1) + "\n")


def _pair_camera(pair: StereoPair, file: str, size: tuple[int, int], *, on_the_right: bool) -> dict[str, Any]:
    """One entry of cameras.json; the world frame is the left camera's, in metres."""
    cam_from_world = np.eye(4)
    cam_from_world[0, 3] = -pair.baseline_m if on_the_right else 0.0
    cx, cy = pair.principal_point_px
    intrinsics = {"fx": pair.focal_px, "fy": pair.focal_px, "cx": cx + pair.doffs_px * on_the_right, "cy": cy}
    return {
        "file": file,
        "width": size[0],
        "height": size[1],
        **intrinsics,
        "cam_from_world": cam_from_world.tolist(),
    }


def _carried_file(pair: StereoPair, name: str) -> bytes:
    """A file's bytes from the installed package's data folder, checked; the package's code is not run.

    scikit-image's own loader would download what is missing, which this program never does.
    """
    remedy = "install it with: pip install 'scikit-image>=0.24'"
    module = importlib.util.find_spec("skimage") if pair.package == "scikit-image" else None
    if module is None or not module.submodule_search_locations:
        raise InputError(f"the photo {name} comes with the package {pair.package}, which is not installed; {remedy}")
    path = Path(module.submodule_search_locations[0]) / "data" / Path(name).name
    if not path.is_file():
        raise InputError(f"{path}: missing; this build of {pair.package} does not carry its sample photos; {remedy}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != pair.sha256[name]:
        raise InputError(f"{path}: not the file that {MANIFEST} describes (SHA-256 differs); {remedy}")
    return content
