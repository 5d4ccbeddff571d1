"""Better observations once cameras are found: aligned patches, matches along epipolar lines, points found in a third photo."""

from dataclasses import replace

import numpy as np
import pytest

from sparse3d.priors.stereo import known
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.guided import rematch
from sparse3d.priors.stereo.match_graph import build_graph
from sparse3d.priors.stereo.model import Model, project
from sparse3d.priors.stereo.patch_alignment import align_tracks, load_matching_images
from sparse3d.priors.stereo.track_extension import extend_tracks
from sparse3d.priors.stereo.triangulation import Structure, triangulate

from .camera_scene import Scene, make_scene, observations, surface_points, visible

CONFIG = CameraConfig(features="sift")
ALIGNED_PX = 0.15
"""Median error of an aligned observation of rendered photos; the observations begin a pixel off."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(3)


@pytest.fixture(scope="module")
def model(scene: Scene) -> Model:
    """The true cameras."""
    return known.initial_model(scene.images, scene.cameras, CONFIG)


def test_patches_bring_observations_to_a_fraction_of_a_pixel(scene, model):
    points = surface_points(scene, model)
    exact = observations(scene, model, points, [0, 1], 0.0)
    rough = observations(scene, model, points, [0, 1], 0.7)
    structure = Structure(triangulate(model, exact, min_angle_deg=0.5).points, np.ones(len(rough.views), bool))
    pictures = load_matching_images(scene.images, CONFIG.max_side)
    found, aligned = align_tracks(pictures, model, structure, rough)
    assert aligned.mean() > 0.6
    # Which of the two stays is the alignment's choice: what counts is where one lies for the other.
    shift = (found.pixels - exact.pixels).reshape(-1, 2, 2)
    start = (rough.pixels - exact.pixels).reshape(-1, 2, 2)
    both = aligned.reshape(-1, 2).all(1)
    error = np.linalg.norm(shift[both, 1] - shift[both, 0], axis=1)
    assert np.median(np.linalg.norm(start[both, 1] - start[both, 0], axis=1)) > 0.6
    assert np.median(error) < ALIGNED_PX and np.percentile(error, 90) < 0.5
    assert (found.sigmas[aligned] < rough.sigmas[aligned]).all()
    np.testing.assert_array_equal(found.pixels[~aligned], rough.pixels[~aligned])


def test_patches_of_something_else_are_not_moved(scene, model):
    points = surface_points(scene, model)
    tracks = observations(scene, model, points, [0, 1], 0.0)
    structure = triangulate(model, tracks, min_angle_deg=0.5)
    elsewhere = replace(tracks, pixels=tracks.pixels + np.where(tracks.views == 1, 17.0, 0.0)[:, None])
    _, aligned = align_tracks(load_matching_images(scene.images, CONFIG.max_side), model, structure, elsewhere)
    assert aligned.mean() < 0.1


def test_matches_along_epipolar_lines_are_more_and_right(scene, model):
    free = replace(model, pose_free=np.ones(3, bool), intrinsics_free=np.ones(3, bool))
    graph = build_graph(scene.images, ["sift"], free, CONFIG)
    few = replace(graph, pairs=tuple(replace(p, matches=p.matches[:40]) for p in graph.pairs))
    more = rematch(few, model)
    for old, new in zip(few.pairs, more.pairs, strict=True):
        assert len(new.matches) > 4 * len(old.matches)
        kept = {tuple(m) for m in new.matches.tolist()}
        assert np.mean([tuple(m) in kept for m in old.matches.tolist()]) > 0.9
        i_pixels = more.pixels[new.i][new.matches[:, 0]]
        rows, cols = np.clip(i_pixels[:, 1].astype(int), 0, 299), np.clip(i_pixels[:, 0].astype(int), 0, 399)
        depth = scene.depths[new.i][rows, cols]
        rays = np.linalg.inv(scene.cameras.K[new.i].numpy()) @ np.c_[i_pixels, np.ones(len(i_pixels))].T * depth
        pose = model.cam_from_world[new.i]
        world = (pose[:3, :3].T @ (rays - pose[:3, 3:])).T
        there, _ = project(model, np.full(len(world), new.j), world)
        error = np.linalg.norm(there - more.pixels[new.j][new.matches[:, 1]], axis=1)
        # Wrong ones among them are left for the patches to refuse.
        assert (error < 4).sum() > 4 * len(old.matches) and np.mean(error < 4) > 0.5


def test_points_of_two_photos_are_found_in_the_third(scene, model):
    points = surface_points(scene, model)
    tracks = observations(scene, model, points, [0, 1], 0.0)
    structure = triangulate(model, tracks, min_angle_deg=0.5)
    off = model.cam_from_world.copy()
    off[2, 0, 3] += 0.05  # five pixels in the photo
    pictures = load_matching_images(scene.images, CONFIG.max_side)
    longer, new = extend_tracks(pictures, model.with_poses(off), structure, tracks, seed=0)
    shown = visible(scene, model, 2, structure.points)
    assert new.sum() > 0.4 * shown.sum()
    assert (longer.views[new] == 2).all() and (np.diff(longer.points) >= 0).all()
    truth, _ = project(model, longer.views[new], structure.points[longer.points[new]])
    error = np.linalg.norm(longer.pixels[new] - truth, axis=1)
    assert np.median(error) < 2 * ALIGNED_PX and np.mean(error < 1.5) > 0.9
    _, again = extend_tracks(pictures, model.with_poses(off), structure, tracks, seed=0)
    np.testing.assert_array_equal(new, again)
