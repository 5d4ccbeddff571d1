"""The trials of benchmarks/next_photo.py: which photos are given, which ones are held back and may be added; and their runs."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.image_metrics import from_pixels, psnr, ssim, to_scoring_resolution
from sparse3d.eval.render_views import render_camera
from sparse3d.io.cameras_json import read_cameras_json
from sparse3d.io.image_files import read_image
from sparse3d.io.run_folder import RunFolder, read_reconstruction
from sparse3d.pipeline.config import load_config
from sparse3d.pipeline.reconstruct import reconstruct

NEIGHBOURS = 4
"""The first photo is drawn, the two others from this many nearest ones."""
MAX_TURN_DEG = 60.0
"""Photos that look farther away from the first one's direction show another scene: they take no part."""
DEPTH_SIDE = 256
"""Longer side of the depth maps in pixels, less than the preset's: every candidate of every trial has its own run."""
CANDIDATES, OTHERS = 5, 6
"""At most so many held-back photos that may be added and that may not, the nearest ones to the three given."""


@dataclass(frozen=True)
class Trial:
    """One draw. Photos by file name.

    Attributes:
        given: the three photos of the start.
        candidates: held back; one of them is to be added.
        others: held back, too.
    """

    set_name: str
    seed: int
    given: tuple[str, ...]
    candidates: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def held_back(self) -> tuple[str, ...]:
        """All that measure, unless they are added."""
        return self.candidates + self.others


def true_cameras(root: Path) -> Cameras:
    """The set's cameras by the photos' file names."""
    cameras = read_cameras_json(root / "cameras.json")
    return cameras.replace(names=tuple(Path(name).name for name in cameras.names))


def draw_trial(root: Path, seed: int) -> Trial:
    """Three neighbouring photos, and of those nearest to them candidates and others by lot."""
    cameras = true_cameras(root)
    rng = np.random.default_rng(seed)
    centres, forward = cameras.centres.numpy(), cameras.world_from_cam[:, :3, 2].numpy()
    order = [int(i) for i in rng.permutation(len(cameras))]
    for first in order:
        alike = np.flatnonzero(forward @ forward[first] > np.cos(np.radians(MAX_TURN_DEG)))
        away = np.linalg.norm(centres[alike] - centres[first], axis=1)
        nearest = alike[np.argsort(away, kind="stable")]
        if len(nearest) >= 3 + 2 * 4:
            break
    else:
        raise InputError(f"{root}: has no photo with ten others that look the same way")
    given = [first, *rng.choice(nearest[1 : 1 + NEIGHBOURS], 2, replace=False).tolist()]
    rest = [i for i in nearest if i not in given]
    spread = np.linalg.norm(centres[rest][:, None] - centres[given][None], axis=2).min(1)
    rest = [rest[i] for i in np.argsort(spread, kind="stable")][: CANDIDATES + OTHERS]
    rest = rng.permutation(rest).tolist()
    count = min(CANDIDATES, len(rest) // 2)
    names = lambda picked: tuple(sorted(cameras.names[i] for i in picked))  # noqa: E731
    return Trial(root.name, seed, names(given), names(rest[:count]), names(rest[count:]))


def run_of(root: Path, names: tuple[str, ...], work: Path) -> Reconstruction:
    """The run of these photos with their true cameras, preset `fast` with smaller depth maps; kept in the work folder."""
    stems = "-".join(Path(n).stem for n in sorted(names))
    folder = work / root.name / stems
    if not RunFolder(folder).provenance.is_file():
        config = load_config("fast", threads=1)
        config = dataclasses.replace(config, depth=dataclasses.replace(config.depth, max_side=DEPTH_SIDE))
        reconstruct(root / "images", folder, known=root / "cameras.json", names=sorted(names), config=config)
    return read_reconstruction(folder)


def measure(root: Path, trial: Trial, names: tuple[str, ...], work: Path) -> dict[str, dict[str, float]]:
    """PSNR and SSIM of the run of these photos at every photo that is still held back; kept in the work folder."""
    kept = work / root.name / f"held-{trial.seed}-{'-'.join(Path(n).stem for n in sorted(names))}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    scene, cameras = run_of(root, names, work), true_cameras(root)
    scores = {}
    for name in trial.held_back:
        if name in names:
            continue
        [view] = render_camera(scene, cameras.select([cameras.names.index(name)]))
        truth = to_scoring_resolution(from_pixels(read_image(root / "images" / name)))
        rendering = to_scoring_resolution(view.rgb)
        scores[name] = {"psnr": psnr(rendering, truth), "ssim": ssim(rendering, truth)}
    kept.write_text(json.dumps(scores))
    return scores
