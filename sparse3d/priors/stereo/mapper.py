"""Starting poses from matches: pycolmap's incremental mapper, with the intrinsics held at a hypothesis."""

import contextlib
import logging
from collections.abc import Iterator

import numpy as np
import pycolmap
from jaxtyping import Float
from numpy import ndarray

from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import Model
from sparse3d.priors.stereo.two_view import MatchGraph, Pair

logger = logging.getLogger(__name__)

INIT_ANGLES_DEG = (6.0, 1.5)
"""Smallest median triangulation angle of the first pair: tried in turn. COLMAP's 16 refuses short hand-held
baselines."""

INIT_MIN_INLIERS = 25
"""COLMAP's 100 refuses wide baselines, where few matches survive."""

MAX_MODELS = 3
"""How many disconnected models are looked at for the largest."""


@contextlib.contextmanager
def quiet_pycolmap() -> Iterator[None]:
    """Keep pycolmap's log off standard error: what matters comes back as warnings in words."""
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = 4
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = level


def map_incrementally(
    model: Model, graph: MatchGraph, config: CameraConfig, *, seed: int
) -> Float[ndarray, "view 4 4"]:
    """Poses by the incremental mapper with fixed intrinsics, in an arbitrary frame and scale.

    Returns:
        cam_from_world of the largest model; NaN for the views that are not in it, all NaN where nothing was found.
    """
    poses = np.full((len(model.group), 4, 4), np.nan)
    # In memory: a database file would be flushed to disk at every commit, which dominates on a busy machine.
    with quiet_pycolmap(), pycolmap.Database.open(":memory:") as database:
        _fill_database(database, model, graph)
        for angle in INIT_ANGLES_DEG:
            manager = pycolmap.ReconstructionManager()
            try:
                pycolmap.IncrementalPipeline(_options(config, angle, seed), database, manager).run()
            except (RuntimeError, ValueError, IndexError) as error:
                logger.debug("incremental mapping failed: %s", error)
                continue
            found = [manager.get(n) for n in range(manager.size())]
            if not found:
                continue
            best = max(found, key=lambda r: (r.num_reg_images(), r.num_points3D()))
            for image in best.images.values():
                if image.has_pose:
                    poses[image.image_id - 1] = np.eye(4)
                    poses[image.image_id - 1][:3] = image.cam_from_world().matrix()
            break
    return poses


def _options(config: CameraConfig, init_angle_deg: float, seed: int) -> pycolmap.IncrementalPipelineOptions:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_num_matches = config.min_matches
    options.min_model_size = 2
    options.max_num_models = MAX_MODELS
    options.extract_colors = False
    options.num_threads = 1  # several threads add up in another order and change the result's last digits
    options.random_seed = seed
    options.ba_refine_focal_length = False
    options.ba_refine_extra_params = False
    options.ba_refine_principal_point = False
    options.mapper.init_min_num_inliers = INIT_MIN_INLIERS
    options.mapper.init_min_tri_angle = init_angle_deg
    options.mapper.init_max_forward_motion = 0.99
    options.mapper.abs_pose_min_num_inliers = config.min_pose_inliers
    options.mapper.abs_pose_min_inlier_ratio = 0.1
    options.mapper.abs_pose_refine_focal_length = False
    options.mapper.abs_pose_refine_extra_params = False
    options.mapper.filter_min_tri_angle = config.min_angle_deg
    options.mapper.random_seed = seed
    options.mapper.num_threads = 1
    options.triangulation.min_angle = config.min_angle_deg
    options.triangulation.ignore_two_view_tracks = False
    options.triangulation.random_seed = seed
    return options


def colmap_camera(model: Model, view: int, camera_id: int) -> pycolmap.Camera:
    """The view's camera with OpenCV's distortion."""
    width, height = np.maximum(1, np.round(2 * model.centre[view])).astype(int)
    params = [*model.focal[view], *model.centre[view], *model.distortion[view]]
    camera = pycolmap.Camera(model="OPENCV", width=int(width), height=int(height), params=params, camera_id=camera_id)
    camera.has_prior_focal_length = True
    return camera


def _fill_database(database: pycolmap.Database, model: Model, graph: MatchGraph) -> None:
    for view in range(len(model.group)):
        number = view + 1
        camera = colmap_camera(model, view, number)
        database.write_camera(camera, use_camera_id=True)
        rig = pycolmap.Rig(rig_id=number)
        rig.add_ref_sensor(camera.sensor_id)
        database.write_rig(rig, use_rig_id=True)
        image = pycolmap.Image(name=f"{view:04d}", camera_id=number, image_id=number)
        frame = pycolmap.Frame(frame_id=number, rig_id=number)
        frame.add_data_id(image.data_id)
        database.write_frame(frame, use_frame_id=True)
        image.frame_id = number
        database.write_image(image, use_image_id=True)
        database.write_keypoints(number, graph.pixels[view].astype(np.float32))
    for pair in graph.pairs:
        _write_pair(database, pair)


def _write_pair(database: pycolmap.Database, pair: Pair) -> None:
    matches = pair.matches.astype(np.uint32)
    geometry = pycolmap.TwoViewGeometry(
        config=pycolmap.TwoViewGeometryConfiguration.UNCALIBRATED, F=pair.fundamental, inlier_matches=matches
    )
    database.write_matches(pair.i + 1, pair.j + 1, matches)
    database.write_two_view_geometry(pair.i + 1, pair.j + 1, geometry)
