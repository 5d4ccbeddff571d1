"""A bench scene as one file, so that a job needs neither the data set's loader nor its own walk through the folders."""

from collections.abc import Mapping
from pathlib import Path

from sparse3d.bench.scene import BenchScene, Split
from sparse3d.core.errors import InputError
from sparse3d.io.cameras_json import read_cameras_json, write_cameras_json
from sparse3d.io.json_files import read_json_object, write_json
from sparse3d.pipeline.stages import cameras_key, fingerprint


def write_scene(path: Path, scene: BenchScene) -> None:
    """Write `path`, and the true cameras beside it with the suffix `.cameras.json`.

    Raises:
        InputError: a file cannot be written.
    """
    write_cameras_json(_cameras_path(path), scene.cameras)
    document = {
        "dataset": scene.dataset,
        "scene": scene.scene,
        "protocol": scene.protocol,
        "downscale": scene.downscale,
        "photos": _paths(scene.photos),
        "masks": _paths(scene.masks),
        "depths": _paths(scene.depths),
        "surface": None if scene.surface is None else str(scene.surface.resolve()),
        "background": None if scene.background is None else list(scene.background),
        "splits": {name: {"train": list(s.train), "test": list(s.test)} for name, s in scene.splits.items()},
    }
    write_json(path, document)


def read_scene(path: Path) -> BenchScene:
    """Read what `write_scene` wrote.

    Raises:
        InputError: a file is missing or damaged.
    """
    document = read_json_object(path)
    try:
        return BenchScene(
            dataset=document["dataset"],
            scene=document["scene"],
            protocol=document["protocol"],
            downscale=int(document["downscale"]),
            photos={name: Path(file) for name, file in document["photos"].items()},
            cameras=read_cameras_json(_cameras_path(path)),
            masks={name: Path(file) for name, file in document["masks"].items()},
            depths={name: Path(file) for name, file in document["depths"].items()},
            surface=None if document["surface"] is None else Path(document["surface"]),
            background=None if document["background"] is None else tuple(document["background"]),
            splits={n: Split(tuple(s["train"]), tuple(s["test"])) for n, s in document["splits"].items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error!r}); run the bench again, it writes the file anew") from error


def inputs_key(scene: BenchScene, split: Split) -> str:
    """Key of what a job's figures depend on besides its method: files by name and size, truth, split and scale."""
    files = [_paths(x) for x in (scene.photos, scene.masks, scene.depths)]
    used = {*split.train, *split.test}
    sizes = [
        [(name, Path(file).stat().st_size) for name, file in each.items() if name in used and Path(file).is_file()]
        for each in files
    ]
    surface = scene.surface.stat().st_size if scene.surface is not None and scene.surface.is_file() else None
    return fingerprint(
        sizes, surface, cameras_key(scene.cameras), split.train, split.test, scene.downscale, scene.background
    )


def _paths(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: str(path.resolve()) for name, path in files.items()}


def _cameras_path(path: Path) -> Path:
    return path.with_suffix(".cameras.json")
