"""This program's own reconstruction: a preset, or settings that differ from the default in a file, so that ablations are rows."""

import dataclasses
from functools import partial
from pathlib import Path

from sparse3d.bench.materials import Material
from sparse3d.bench.methods.interface import Method, Outcome
from sparse3d.core.errors import InputError
from sparse3d.eval.uncertainty import RAW_LAYER
from sparse3d.io.config_yaml import to_plain
from sparse3d.io.gaussian_layers import read_gaussian_layers
from sparse3d.io.run_folder import RunFolder
from sparse3d.pipeline.config import ReconstructConfig, load_config
from sparse3d.pipeline.reconstruct import reconstruct

START_S = 2.0
"""Reading of the photos, writing of the outputs."""
PAIR_S = {"fast": 1.0, "default": 3.5}
"""Seconds for each photo's depth from each other photo, all stages counted: two cores, photos of about 800x600 pixels."""
RESERVED = ("ours", "plain-3dgs", "plain-dense", "colmap", "gsplat", "opensplat")
"""Labels that a file's name must not take."""


def ours(argument: str) -> Method:
    """`ours`, `ours:PRESET` or `ours@FILE.yaml`, which holds differences from the preset `default`.

    Raises:
        InputError: there is no such preset or file, or a setting in it is unknown.
    """
    preset = argument[1:] if argument.startswith(":") else "default"
    overrides = Path(argument[1:]) if argument.startswith("@") else None
    config = load_config(preset, overrides=overrides)
    label = "ours" if not argument else f"ours {preset}" if overrides is None else overrides.stem
    if overrides is not None and label in RESERVED:
        raise InputError(f"{overrides}: the file's name is the row's name in the tables; {label!r} is taken, rename it")
    return Method(
        label=label,
        settings=without_run(config),
        run=partial(_run, config),
        gpu=config.depth.device == "cuda",
        seconds=lambda views: START_S + views**2 * PAIR_S.get(preset, PAIR_S["default"]),
    )


def without_run(config: ReconstructConfig) -> dict:
    """The settings but for seed and threads, which belong to the job."""
    plain = to_plain(config)
    return {name: value for name, value in plain.items() if name not in ("seed", "threads")}


def _run(config: ReconstructConfig, material: Material) -> Outcome:
    config = dataclasses.replace(config, seed=material.seed, threads=material.threads)
    run = material.folder / "run"
    found = reconstruct(material.photos, run, known=material.known, config=config)
    layers = read_gaussian_layers(RunFolder.open(run).layers, len(found.gaussians))
    return Outcome(found, uncertainty=layers.get(RAW_LAYER))
