"""Every method is scored by the same code: `sparse3d evaluate`'s, on the photos that the job's split holds out."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sparse3d.bench.materials import local_name, read_scaled, true_cameras
from sparse3d.bench.methods.interface import Outcome
from sparse3d.bench.scene import BenchScene
from sparse3d.core.errors import InputError
from sparse3d.eval.config import EvaluateConfig, FurtherTruth
from sparse3d.eval.evaluate import evaluate
from sparse3d.eval.evaluation import Evaluation
from sparse3d.eval.image_metrics import from_pixels, to_scoring_resolution
from sparse3d.eval.render_views import render_camera, render_values
from sparse3d.eval.true_surface import surface_points
from sparse3d.io.depth_files import read_depth_mm
from sparse3d.io.image_files import read_mask, write_jpeg
from sparse3d.pipeline.report_pictures import error_colours
from sparse3d.render.rasterise import RenderOptions

SHOWN_VIEWS = 2
"""Held-out photos a job that the page may show: the first and the middle one."""
NOTHING_DRAWN = np.array([128, 128, 128], np.uint8)
"""Colour, not one of errors', of pixels where no Gaussian is: nothing is known of their error."""


def score(outcome: Outcome, scene: BenchScene, split: str, config: EvaluateConfig) -> Evaluation:
    """Measure an outcome; one that has cameras alone gets no figures of pictures.

    Raises:
        InputError: as `sparse3d.eval.evaluate.evaluate`.
    """
    parts = scene.splits[split]
    names = (*parts.train, *(parts.test if outcome.draws else ()))
    original = {local_name(scene, name): name for name in names}

    def read(name: str):
        if name not in original:
            raise InputError(f"{name}: is no photo of the split {split}")
        return read_scaled(scene, original[name])

    config = config if outcome.draws else dataclasses.replace(config, training=False)
    further = further_truth(scene, original) if outcome.draws else None
    return evaluate(outcome.reconstruction, true_cameras(scene, names), read, config, further=further)


def further_truth(scene: BenchScene, original: Mapping[str, str]) -> FurtherTruth:
    """The masks, depth and surface that a scene's protocol has.

    Args:
        original: the data set's name of each photo that is measured, by its name in the job.
    """

    def mask(name: str):
        file = scene.masks.get(original[name])
        if file is None:
            return None
        width, height = scene.cameras.sizes[list(scene.photos).index(original[name])]
        found = read_mask(file).astype(np.uint8)
        return cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST) > 0

    def depth(name: str):
        file = scene.depths.get(original[name])
        return None if file is None else read_depth_mm(file)

    return FurtherTruth(
        read_mask=mask if scene.masks else None,
        read_depth=depth if scene.depths else None,
        surface=None if scene.surface is None else surface_points(scene.surface),
    )


def figures_of(document: Mapping[str, Any], names: Collection[str]) -> dict[str, int | float]:
    """All single numbers of an evaluation's JSON under dotted names, such as `held_out.aligned.psnr`.

    Args:
        names: of photos; a mapping with such keys holds figures photo by photo, which stay in the job's evaluation.json.
    """
    found: dict[str, int | float] = {}
    for key, value in document.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            found[key] = value
        elif isinstance(value, Mapping) and not set(value) & set(names):
            found |= {f"{key}.{inner}": number for inner, number in figures_of(value, names).items()}
    return found


def write_pictures(
    folder: Path, key: str, outcome: Outcome, scene: BenchScene, split: str, evaluation: Evaluation
) -> list[dict[str, str]]:
    """Some held-out photos beside their renderings at the aligned true cameras, as JPEGs at the scoring resolution.

    Returns:
        For each its name, and the files of photo and rendering relative to `folder`; where the method tells what error it
        expects, the file of that, too, in the colours of `error_colours`.
    """
    measured = [view.name for view in evaluation.held_out if view.aligned is not None]
    if evaluation.alignment is None or not measured:
        return []
    original = {local_name(scene, name): name for name in scene.splits[split].test}
    shown = []
    for index in sorted({0, len(measured) // 2})[:SHOWN_VIEWS]:
        name = original[measured[index]]
        camera = true_cameras(scene, (name,))
        camera = camera.replace(cam_from_world=evaluation.alignment.move_cameras(camera.cam_from_world.double()))
        [view] = render_camera(outcome.reconstruction, camera)
        stem = Path(measured[index]).stem
        truth_file, rendering_file = f"truth/{scene.dataset}-{scene.scene}-{stem}.jpg", f"{key}/{stem}.jpg"
        for file, image in ((truth_file, from_pixels(read_scaled(scene, name))), (rendering_file, view.rgb)):
            write_jpeg(folder / file, to_scoring_resolution(np.asarray(image)))
        shown.append({"name": name, "truth": truth_file, "rendering": rendering_file})
        if outcome.uncertainty is not None:
            expected = render_values(outcome.reconstruction, camera, outcome.uncertainty, RenderOptions())
            shown[-1]["uncertainty"] = f"{key}/{stem}-uncertainty.jpg"
            coloured = np.where(expected[..., None] > 0, error_colours(expected), NOTHING_DRAWN)
            write_jpeg(folder / shown[-1]["uncertainty"], to_scoring_resolution(from_pixels(coloured)))
    return shown
