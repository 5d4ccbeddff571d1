"""The run folder: where everything that belongs to one reconstruction stands. Format: docs/file-formats.md."""

import hashlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.io.atomic import make_folder
from sparse3d.io.cameras_json import read_cameras_json, write_cameras_json
from sparse3d.io.colmap import write_colmap
from sparse3d.io.json_files import read_json_object, write_json
from sparse3d.io.ply import read_gaussians_ply, write_gaussians_ply

FORMAT_VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """The paths within a run folder. Make one by `create` or `open`, which look at what is there."""

    root: Path

    @staticmethod
    def create(root: Path) -> "RunFolder":
        """Use a folder for a run: a new or empty one, or that of an earlier run, which goes on there.

        Raises:
            InputError: it is a file, holds something that is not a run, or cannot be written.
        """
        root = Path(root)
        run = RunFolder(root)
        if root.exists() and not root.is_dir():
            raise InputError(f"{root}: is a file; give a new folder for --out")
        if root.is_dir() and not run.marker.is_file() and any(not p.name.startswith(".") for p in root.iterdir()):
            raise InputError(
                f"{root}: holds files that are not a run of sparse3d; give a new or empty folder for --out"
            )
        make_folder(root)
        if not run.marker.is_file():
            write_json(run.marker, {"format": "sparse3d run", "version": FORMAT_VERSION})
        run._check_version()
        return run

    @staticmethod
    def open(root: Path) -> "RunFolder":
        """An existing run, finished or not.

        Raises:
            InputError: there is no such folder, it is not a run, or one of a newer version.
        """
        root = Path(root)
        run = RunFolder(root)
        if not root.exists():
            raise InputError(f"{root}: no such folder; make a run by: sparse3d reconstruct PHOTOS --out {root}")
        if not run.marker.is_file():
            inside = sorted(p.parent.name for p in root.glob(f"*/{run.marker.name}")) if root.is_dir() else []
            hint = f"give {root / inside[0]}" if inside else "make one by: sparse3d reconstruct PHOTOS --out RUN"
            raise InputError(f"{root}: is not a run folder (it has no {run.marker.name}); {hint}")
        run._check_version()
        return run

    def _check_version(self) -> None:
        version = read_json_object(self.marker).get("version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"{self.root}: is a run of format {version!r}, this program knows {FORMAT_VERSION}; update it"
            )

    @property
    def marker(self) -> Path:
        """By its presence a folder is a run."""
        return self.root / "sparse3d-run.json"

    @property
    def cameras(self) -> Path:
        return self.root / "cameras.json"

    @property
    def colmap(self) -> Path:
        return self.root / "colmap" / "sparse" / "0"

    @property
    def gaussians(self) -> Path:
        return self.root / "gaussians.ply"

    @property
    def provenance(self) -> Path:
        return self.root / "provenance.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.json"

    @property
    def coverage(self) -> Path:
        """What the photos cover, and where to take the next one (`io.coverage_json`)."""
        return self.root / "coverage.json"

    @property
    def evaluation(self) -> Path:
        """What `sparse3d evaluate` measured last."""
        return self.root / "evaluation.json"

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def stages(self) -> Path:
        """Checkpoints; may be deleted at any time at the price of doing the work again."""
        return self.root / "stages"

    def depth(self, name: str) -> Path:
        """Depth and confidence of the photo of this name, npz."""
        return self.root / "depth" / f"{_key(name)}.npz"

    def depth_picture(self, name: str) -> Path:
        """Depth of the photo of this name in colours, PNG."""
        return self.root / "depth" / f"{_key(name)}.png"

    def rendering(self, name: str) -> Path:
        """What the Gaussians look like from where the photo of this name was taken, PNG."""
        return self.root / "renderings" / f"{_key(name)}.png"

    def photo(self, name: str) -> Path:
        """The photo of this name as the rendering shows it (undistorted, same size), JPEG."""
        return self.root / "photos" / f"{_key(name)}.jpg"

    @property
    def mesh(self) -> Path:
        """A surface of the scene, PLY in the run's world; shown by the viewer where it is there."""
        return self.root / "mesh.ply"

    @property
    def layers(self) -> Path:
        """Figures for each Gaussian (`io.gaussian_layers`), where there are any."""
        return self.root / "layers"

    def left_out(self, name: str) -> Path:
        """A run from all other photos, by which `sparse3d evaluate` measures; may be deleted as the stages may."""
        return self.root / "leave-one-out" / _key(name)

    def stage_path(self, stage: str, key: str) -> Path:
        """The checkpoint of a stage under a key made from its inputs and its settings."""
        return self.stages / f"{stage}-{key}.npz"


def write_reconstruction(run: RunFolder, reconstruction: Reconstruction, points: SparsePoints) -> None:
    """Write Gaussians, cameras, COLMAP model and provenance, each atomically; an evaluation of other Gaussians is removed.

    Args:
        points: sparse points whose views are the reconstruction's cameras; possibly none.

    Raises:
        InputError: a file cannot be written.
    """
    cameras = reconstruction.cameras
    before = _digest(run.gaussians)
    write_gaussians_ply(run.gaussians, reconstruction.gaussians)
    if _digest(run.gaussians) != before:
        run.evaluation.unlink(missing_ok=True)
    write_cameras_json(run.cameras, cameras)
    write_colmap(run.colmap, cameras, points)
    document: dict[str, Any] = asdict(reconstruction.provenance)
    document["cameras"] = {
        "groups": cameras.groups,
        "pose_known": cameras.pose_known,
        "intrinsics_known": cameras.intrinsics_known,
    }
    document["history"] = reconstruction.history
    # Last, since a run counts as finished when it is there.
    write_json(run.provenance, document)


def _digest(path: Path) -> bytes:
    """Of a file's content; empty where there is none."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def read_reconstruction(path: Path) -> Reconstruction:
    """Read the result of a run from its folder.

    Raises:
        InputError: it is no run folder, the run is not finished, or a file in it is damaged.
    """
    run = RunFolder.open(path)
    for file in (run.gaussians, run.cameras, run.provenance):
        if not file.is_file():
            raise InputError(f"{run.root}: has no {file.name}: the run is not finished; run the same command again")
    cameras = read_cameras_json(run.cameras)
    document = read_json_object(run.provenance)
    try:
        provenance = _to_provenance(document)
        history = tuple(
            {k: math.nan if v is None else float(v) for k, v in entry.items()} for entry in document["history"]
        )
        cameras = _with_flags(cameras, document["cameras"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{run.provenance}: is damaged ({error!r}); delete it and run again") from error
    return Reconstruction(cameras, read_gaussians_ply(run.gaussians), provenance, history)


def _to_provenance(document: dict[str, Any]) -> Provenance:
    train_px = tuple(float(x) for x in document["train_px"])
    if not all(math.isfinite(x) and x > 0 for x in train_px):
        raise ValueError(f"train_px holds {train_px}, expected focal lengths in pixels")
    return Provenance(
        prior=document["prior"],
        settings=document["settings"],
        seed=document["seed"],
        versions=document["versions"],
        timings_s=document["timings_s"],
        warnings=tuple(map(str, document["warnings"])),
        unplaced=tuple((str(name), str(reason)) for name, reason in document["unplaced"]),
        train_px=train_px,
    )


def _with_flags(cameras: Cameras, flags: dict[str, Any]) -> Cameras:
    columns = {name: tuple(flags[name]) for name in ("groups", "pose_known", "intrinsics_known")}
    if any(len(column) != len(cameras) for column in columns.values()):
        # cameras.json was edited by hand: its own grouping holds.
        return cameras
    return cameras.replace(**columns)


def _key(name: str) -> str:
    """A photo's name as a file name without suffix; photos of one set differ in it (`io.photos` sees to that)."""
    return str(PurePosixPath(name).with_suffix("")).replace("/", "_")
