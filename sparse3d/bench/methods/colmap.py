"""COLMAP's cameras (pycolmap): its own SIFT with its mapper, or the simplest chain of learned features around the mapper."""

import itertools
import tempfile
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pycolmap
import torch
from PIL import Image

from sparse3d.bench.materials import Material
from sparse3d.bench.methods.interface import Method, Outcome, Provided, as_reconstruction, no_gaussians
from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.core.images import ImageSet
from sparse3d.io.colmap import read_model
from sparse3d.io.photos import load_photos
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.features import detect_all
from sparse3d.priors.stereo.matching import match_features

XFEAT_POINTS = 3000
FOCAL_RATIO = 1.2
"""COLMAP's own start, over the longer side."""


Features = Literal["sift", "xfeat"]


def colmap(argument: str) -> Method:
    """`colmap` (SIFT) or `colmap:xfeat` (XFeat and LighterGlue): cameras alone, from the photos.

    Raises:
        InputError: another argument.
    """
    if argument not in ("", ":sift", ":xfeat"):
        raise InputError(f"no method colmap{argument}: there are colmap and colmap:xfeat")
    features: Features = "xfeat" if argument == ":xfeat" else "sift"
    label = "colmap" if features == "sift" else "colmap xfeat"
    settings = {"features": features, "pycolmap": pycolmap.__version__}
    return Method(label, settings, partial(_run, features), poses=("unposed",), seconds=lambda views: 4 + 1.5 * views)


def _run(features: Features, material: Material) -> Outcome:
    images = load_photos(material.photos)
    cameras = map_with_pycolmap(images, features, seed=material.seed)
    unplaced = tuple((n, "COLMAP's largest model is without it") for n in images.names if n not in cameras.names)
    provided = Provided(f"pycolmap {features}", material.seed, unplaced)
    return Outcome(as_reconstruction(cameras, no_gaussians(), provided), draws=False)


def map_with_pycolmap(images: ImageSet, features: Features, *, seed: int) -> Cameras:
    """Cameras of the largest model that pycolmap's incremental mapper makes with its default settings and one camera.

    Raises:
        InputError: it makes none.
    """
    return model_of_pycolmap(images, features, seed=seed)[0]


def model_of_pycolmap(images: ImageSet, features: Features, *, seed: int) -> tuple[Cameras, SparsePoints]:
    """The same, with the model's points. Errors as in `map_with_pycolmap`."""
    pycolmap.logging.minloglevel = 4
    pycolmap.set_random_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "photos").mkdir()
        for photo in images.photos:
            Image.fromarray(images.read_pixels(photo)).save(root / "photos" / f"{photo.name}.png")
        database = root / "database.db"
        if features == "sift":
            pycolmap.extract_features(database, root / "photos", camera_mode=pycolmap.CameraMode.SINGLE)
            pycolmap.match_exhaustive(database)
        else:
            _match_xfeat(database, images, root)
        models = pycolmap.incremental_mapping(database, root / "photos", root)
    if not models:
        raise InputError("pycolmap makes no model")
    cameras, points = read_model(max(models.values(), key=lambda m: m.num_reg_images()), "pycolmap")
    # The photos went in as PNG under their names; what COLMAP found is nobody's knowledge.
    unknown = (False,) * len(cameras)
    names = tuple(name.removesuffix(".png") for name in cameras.names)
    return cameras.replace(names=names, pose_known=unknown, intrinsics_known=unknown), points


def _match_xfeat(path: Path, images: ImageSet, root: Path) -> None:
    config = CameraConfig(max_xfeat=XFEAT_POINTS)
    torch.manual_seed(0)
    features = detect_all(images, ["xfeat"], config)
    with pycolmap.Database.open(str(path)) as database:
        width, height = images.photos[0].size
        camera = pycolmap.Camera.create_from_model_name(
            1, "SIMPLE_RADIAL", FOCAL_RATIO * max(width, height), width, height
        )
        database.write_camera(camera, use_camera_id=True)
        rig = pycolmap.Rig(rig_id=1)
        rig.add_ref_sensor(camera.sensor_id)
        database.write_rig(rig, use_rig_id=True)
        for number, (photo, found) in enumerate(zip(images.photos, features, strict=True), start=1):
            image = pycolmap.Image(name=f"{photo.name}.png", camera_id=1, image_id=number)
            frame = pycolmap.Frame(frame_id=number, rig_id=1)
            frame.add_data_id(image.data_id)
            database.write_frame(frame, use_frame_id=True)
            image.frame_id = number
            database.write_image(image, use_image_id=True)
            database.write_keypoints(number, found[0].pixels.astype(np.float32))
        for i, j in itertools.combinations(range(len(images)), 2):
            database.write_matches(i + 1, j + 1, match_features(features[i], features[j]).astype(np.uint32))
    names = [f"{photo.name}.png" for photo in images.photos]
    pairs = root / "pairs.txt"
    pairs.write_text("".join(f"{a} {b}\n" for a, b in itertools.combinations(names, 2)))
    pycolmap.verify_matches(path, pairs)
