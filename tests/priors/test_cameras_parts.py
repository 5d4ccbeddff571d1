"""The parts that camera estimation is made of, on exact synthetic data."""

from dataclasses import replace

import numpy as np
import pytest

from sparse3d.priors.stereo import bundle, covariance, known
from sparse3d.priors.stereo.assembly import add_missing
from sparse3d.priors.stereo.chaining import place_by_partners
from sparse3d.priors.stereo.config import CameraConfig
from sparse3d.priors.stereo.model import Model, distort, normalise, project, residuals_px
from sparse3d.priors.stereo.registration import refine
from sparse3d.priors.stereo.tracks import Tracks, build_tracks
from sparse3d.priors.stereo.triangulation import triangulate
from sparse3d.priors.stereo.two_view import MatchGraph, Pair, sampson_px, verify
from sparse3d.priors.stereo.world_frame import move_cameras, move_points, tidy_frame

from .camera_scene import image_set, look_at, noise_photo

CONFIG = CameraConfig()
CENTRES = [(-1.0, 0.0, 0.0), (0.0, -0.3, 0.2), (1.0, 0.1, 0.0), (0.4, -1.0, -0.2)]


def exact_model(count: int = 4, focal: float = 500.0, k1: float = 0.0) -> Model:
    return Model(
        cam_from_world=np.stack([look_at(c) for c in CENTRES[:count]]),
        focal=np.full((count, 2), focal),
        centre=np.full((count, 2), (320.0, 240.0)),
        middle=np.full((count, 2), (320.0, 240.0)),
        distortion=np.full((count, 4), (k1, 0.0, 0.0, 0.0)),
        lens=np.zeros((count, 4)),
        group=np.zeros(count, np.int64),
        pose_free=np.ones(count, bool),
        intrinsics_free=np.ones(count, bool),
        long_side=np.full(count, 640.0),
        exif_focal=np.full(count, np.nan),
    )


def exact_tracks(model: Model, points: np.ndarray, noise: float = 0.0) -> Tracks:
    views = np.tile(np.arange(len(model.group)), len(points))
    owners = np.repeat(np.arange(len(points)), len(model.group))
    residual, depth = residuals_px(model, views, points[owners], np.zeros((len(views), 2)))
    assert (depth > 0).all()
    pixels = residual + np.random.default_rng(1).normal(scale=noise, size=residual.shape) if noise else residual
    return Tracks(views, owners, pixels, np.full(len(views), 0.5), len(points))


def cloud(count: int = 150) -> np.ndarray:
    return np.random.default_rng(0).uniform([-1.5, -1, 3.5], [1.5, 1, 6.0], (count, 3))


def test_distortion_jacobian_is_the_derivative():
    rng = np.random.default_rng(0)
    xy, coefficients = rng.uniform(-0.6, 0.6, (20, 2)), np.tile([0.1, -0.05, 0.01, -0.02], (20, 1))
    _, jacobian = distort(xy, coefficients)
    for axis in (0, 1):
        step = np.zeros(2)
        step[axis] = 1e-6
        numeric = (distort(xy + step, coefficients)[0] - distort(xy - step, coefficients)[0]) / 2e-6
        np.testing.assert_allclose(jacobian[:, :, axis], numeric, atol=1e-8)


def test_normalise_undoes_projection_with_distortion():
    model = exact_model(1, k1=-0.12)
    points = cloud()
    tracks = exact_tracks(model, points)
    rays = normalise(model, tracks.views, tracks.pixels)
    cam = points @ model.cam_from_world[0, :3, :3].T + model.cam_from_world[0, :3, 3]
    np.testing.assert_allclose(rays, cam[:, :2] / cam[:, 2:], atol=1e-6)


def test_bundle_adjustment_recovers_poses_focal_length_and_distortion():
    truth, points = exact_model(k1=-0.03), cloud(400)
    tracks = exact_tracks(truth, points, noise=0.2)
    start = exact_model(focal=560.0)
    poses = start.cam_from_world.copy()
    poses[1:, :3, 3] += np.random.default_rng(2).normal(scale=0.03, size=(3, 3))
    adjusted = bundle.adjust(start.with_poses(poses), tracks, points * 1.05, CONFIG)
    assert adjusted.model.focal[0, 0] == pytest.approx(500, rel=0.01)
    assert adjusted.model.distortion[0, 0] == pytest.approx(-0.03, abs=0.01)
    assert 0 < adjusted.focal_sigma[0] < 0.03


def adjusted_from_a_pinhole(k1: float, config: CameraConfig) -> Model:
    """What the bundle makes of a lens whose distortion it does not know."""
    truth, points = exact_model(k1=k1), cloud(400)
    return bundle.adjust(exact_model(focal=520.0), exact_tracks(truth, points, noise=0.2), points, config).model


def test_a_strong_distortion_is_found_where_it_is_asked_for():
    freed = adjusted_from_a_pinhole(-0.2, replace(CONFIG, k1_sigma=0.2, k2_sigma=0.2))
    assert freed.distortion[:, 0] == pytest.approx(-0.2, abs=0.01) and freed.focal[0, 0] == pytest.approx(
        500, rel=0.005
    )
    assert (freed.distortion == freed.distortion[0]).all(), "one lens for all"
    usual = adjusted_from_a_pinhole(-0.2, CONFIG)
    assert abs(usual.distortion[0, 0] + 0.2) > abs(freed.distortion[0, 0] + 0.2)


def test_a_held_distortion_stays_and_a_given_one_is_what_is_expected():
    held = adjusted_from_a_pinhole(-0.05, replace(CONFIG, k1_sigma=0.0, k2_sigma=0.0))
    assert np.abs(held.distortion).max() < 1e-6
    truth, points = exact_model(k1=-0.2), cloud(12)  # so few that the prior decides
    with pytest.raises(ValueError, match="k2_sigma must not be negative"):
        replace(CONFIG, k2_sigma=-0.1)
    given = replace(truth, lens=truth.distortion)
    found = bundle.adjust(given, exact_tracks(truth, points, noise=0.5), points, CONFIG).model
    assert found.distortion[0, 0] == pytest.approx(-0.2, abs=0.02)
    assert given.with_focal_ratio(1.0).distortion[0, 0] == -0.2


def test_photos_share_their_focal_length_unless_each_is_to_have_its_own():
    images = image_set([noise_photo(i) for i in range(4)])
    assert known.initial_model(images, None, CONFIG).group.tolist() == [0, 0, 0, 0]
    groups = known.initial_model(images, None, replace(CONFIG, share_intrinsics=False)).group
    assert groups.tolist() == [0, 1, 2, 3]
    truth, points = exact_model(), cloud(400)
    truth.focal[2] = 600.0
    start = replace(exact_model(focal=520.0), group=groups)
    found = bundle.adjust(start, exact_tracks(truth, points, noise=0.2), points, CONFIG).model
    assert found.focal[:, 0] == pytest.approx([500, 500, 600, 500], rel=0.01)


def test_bundle_adjustment_moves_only_what_is_free():
    truth, points = exact_model(), cloud()
    tracks = exact_tracks(truth, points, noise=0.5)
    fixed = Model(**{**vars(truth), "pose_free": np.array([0, 0, 1, 1], bool), "intrinsics_free": np.zeros(4, bool)})
    adjusted = bundle.adjust(fixed, tracks, points, CONFIG)
    np.testing.assert_array_equal(adjusted.model.cam_from_world[:2], truth.cam_from_world[:2])
    np.testing.assert_array_equal(adjusted.model.focal, truth.focal)
    assert np.abs(adjusted.model.cam_from_world[2:] - truth.cam_from_world[2:]).max() > 0
    assert adjusted.focal_sigma == {}


def test_focal_length_that_nothing_determines_follows_the_prior_and_says_so():
    # Points at one distance, seen from one direction: zooming and stepping back look the same.
    points = np.random.default_rng(0).uniform([-1, -1, 50.0], [1, 1, 50.02], (200, 3))
    model = exact_model(2, focal=900.0)
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, 0, 3] = -1.0
    model = model.with_poses(poses)
    adjusted = bundle.adjust(model, exact_tracks(model, points, noise=0.3), points, CONFIG)
    assert adjusted.focal_sigma[0] > 0.3
    assert 0.3 * 640 <= adjusted.model.focal[0, 0] <= 2 * 640


def test_triangulation_is_exact_and_drops_a_wrong_observation():
    model, points = exact_model(), cloud()
    tracks = exact_tracks(model, points)
    tracks.pixels[5] += 40.0
    structure = triangulate(model, tracks, min_angle_deg=1.0)
    np.testing.assert_allclose(structure.points, points, atol=1e-6)
    assert not structure.inlier[5] and structure.inlier.sum() == len(tracks.views) - 1


def test_triangulation_refuses_points_behind_the_cameras_and_narrow_angles():
    model = exact_model(2)
    far = np.array([[0.0, 0.0, 5000.0]])
    assert not triangulate(model, exact_tracks(model, far), min_angle_deg=1.0).inlier.any()
    tracks = exact_tracks(model, cloud(1))
    tracks.pixels[0, 0], tracks.pixels[1, 0] = tracks.pixels[1, 0] - 900, tracks.pixels[0, 0] + 900
    assert not triangulate(model, tracks, min_angle_deg=1.0).inlier.any()


def graph_of(tracks: Tracks, links: list[tuple[int, int]], keep: dict[tuple[int, int], np.ndarray]) -> MatchGraph:
    """Keypoint k of every view is point k; each link matches the points in `keep`."""
    count = tracks.views.max() + 1
    pixels = tuple(tracks.pixels[tracks.views == v] for v in range(count))
    pairs = tuple(Pair(i, j, np.stack([keep[i, j]] * 2, 1), np.zeros((3, 3))) for i, j in links)
    return MatchGraph(pixels, tuple(np.full(len(p), 0.5) for p in pixels), (1.0,) * count, pairs, ())


def test_tracks_join_matches_and_drop_contradictions():
    pixels = tuple(np.arange(8.0).reshape(4, 2) for _ in range(3))
    pairs = (
        Pair(0, 1, np.array([[0, 0], [1, 1]]), np.eye(3)),
        Pair(1, 2, np.array([[0, 0], [1, 1]]), np.eye(3)),
        Pair(0, 2, np.array([[0, 3], [2, 2]]), np.eye(3)),
    )
    tracks = build_tracks(MatchGraph(pixels, (np.ones(4),) * 3, (1.0,) * 3, pairs, ()))
    # Track 0 holds keypoints 0 and 3 of photo 2: both go, photos 0 and 1 stay.
    assert sorted(tracks.lengths().tolist()) == [2, 2, 3]


def test_a_view_that_shares_few_points_is_placed_by_its_partner():
    truth, points = exact_model(3), cloud(160)
    tracks = exact_tracks(truth, points)
    # Views 0 and 1 share points 0-79, views 1 and 2 points 74-159: only six are seen by all three.
    keep = {(0, 1): np.arange(80), (1, 2): np.arange(74, 160)}
    graph = graph_of(tracks, [(0, 1), (1, 2)], keep)
    linked = build_tracks(graph)
    poses = truth.cam_from_world.copy()
    poses[2] = np.nan
    model = truth.with_poses(poses)
    structure = triangulate(model, linked, min_angle_deg=1.0)
    pose, *_ = place_by_partners(model, structure, linked, graph, 2, CONFIG, seed=0)
    assert pose is not None
    np.testing.assert_allclose(pose, truth.cam_from_world[2], atol=1e-3)
    poses[2] = pose
    assert refine(model.with_poses(poses), linked, CONFIG).model.placed.all()


def test_verification_finds_the_outliers():
    model, points = exact_model(2), cloud(200)
    tracks = exact_tracks(model, points)
    a, b = (tracks.pixels[tracks.views == v] for v in (0, 1))
    b = b.copy()
    b[150:] = np.random.default_rng(3).uniform(0, 480, (50, 2))
    inliers, fundamental = verify(a, b, np.stack([np.arange(200)] * 2, 1), (1.0, 1.0), CONFIG)
    assert set(range(150)) <= set(inliers[:, 0].tolist()) and len(inliers) < 170
    assert sampson_px(fundamental, a[:150], b[:150]).max() < 0.5


def test_duplicate_matches_count_once():
    model = exact_model(2)
    tracks = exact_tracks(model, cloud(30))
    a, b = (tracks.pixels[tracks.views == v] for v in (0, 1))
    matches = np.array([[i, i] for i in range(30)] + [[0, 5], [7, 1]])
    inliers, _ = verify(a, b, matches, (1.0, 1.0), CONFIG)
    assert len(np.unique(inliers[:, 0])) == len(inliers) == len(np.unique(inliers[:, 1]))


def test_tidy_frame_is_upright_centred_and_keeps_projections():
    model = exact_model()
    points = cloud()
    tilt = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    tilt *= np.sign(np.linalg.det(tilt))
    cameras = move_cameras(model.cam_from_world, 3.0, tilt, np.array([1.0, 2.0, 3.0]))
    moved_points = move_points(points, 3.0, tilt, np.array([1.0, 2.0, 3.0]))
    depths = moved_points @ cameras[0, 2, :3] + cameras[0, 2, 3]
    frame = tidy_frame(cameras, depths)
    tidy, tidy_points = move_cameras(cameras, *frame), move_points(moved_points, *frame)
    down = tidy[:, 1, :3].mean(0)
    np.testing.assert_allclose(down / np.linalg.norm(down), [0, 1, 0], atol=1e-9)
    centres = -np.einsum("vji,vj->vi", tidy[:, :3, :3], tidy[:, :3, 3])
    np.testing.assert_allclose(centres.mean(0), 0, atol=1e-9)
    assert np.median(tidy_points @ tidy[0, 2, :3] + tidy[0, 2, 3]) == pytest.approx(1.0)
    assert np.linalg.det(tidy[0, :3, :3]) == pytest.approx(1.0)
    tracks = exact_tracks(model, points)
    residual, _ = residuals_px(model.with_poses(tidy), tracks.views, tidy_points[tracks.points], tracks.pixels)
    assert np.abs(residual).max() < 1e-6


def test_a_shifted_principal_point_is_found_as_far_as_the_prior_lets_it():
    truth = exact_model()
    shifted = replace(truth, centre=truth.middle + np.array([4.0, -3.0]))
    points = cloud()
    tracks = exact_tracks(shifted, points)
    loose = replace(CONFIG, centre_sigma=0.05)
    found = bundle.adjust(truth, tracks, points, loose).model
    np.testing.assert_allclose(found.centre, shifted.centre, atol=0.5)
    held = bundle.adjust(truth, tracks, points, replace(CONFIG, centre_sigma=1e-6)).model
    np.testing.assert_allclose(held.centre, truth.centre, atol=0.05)


def test_photos_held_upright_and_sideways_keep_their_principal_points():
    truth = exact_model()
    middle = truth.middle.copy()
    middle[0] = middle[0, ::-1]
    mixed = replace(truth, middle=middle, centre=middle)
    points = cloud()
    found = bundle.adjust(mixed, exact_tracks(replace(mixed, centre=middle + 2.0), points), points, CONFIG).model
    np.testing.assert_allclose(found.centre, middle, atol=0.05)


def test_pose_sigmas_are_the_spread_over_draws_of_the_noise():
    truth, points, noise = exact_model(), cloud(60), 0.5
    held = replace(truth, intrinsics_free=np.zeros(4, bool), pose_free=np.array([False, True, True, True]))
    rotation, position = [], []
    for seed in range(40):
        tracks = exact_tracks(truth, points)
        off = np.random.default_rng(seed).normal(scale=noise, size=tracks.pixels.shape)
        found = bundle.adjust(held, replace(tracks, pixels=tracks.pixels + off), points, CONFIG).model
        # The scale is free: compare at the length of the first baseline.
        scale = np.linalg.norm(truth.centres[1] - truth.centres[0]) / np.linalg.norm(
            found.centres[1] - found.centres[0]
        )
        centres = found.centres[0] + scale * (found.centres - found.centres[0])
        position.append(np.linalg.norm(centres[2] - truth.centres[2]))
        relative = found.cam_from_world[2, :3, :3] @ truth.cam_from_world[2, :3, :3].T
        rotation.append(np.degrees(np.arccos(np.clip((np.trace(relative) - 1) / 2, -1, 1))))
    # Robust weights of Gaussian noise are below one: the sigmas are somewhat too large.
    sigmas = covariance.pose_sigmas(held, exact_tracks(truth, points, noise=noise), points, CONFIG)
    expected = np.sqrt(np.mean(np.square(rotation))), np.sqrt(np.mean(np.square(position)))
    for sigma, spread in zip(sigmas, expected, strict=True):
        assert sigma[0] == 0
        assert 0.6 * spread < sigma[2] / covariance.SYSTEMATIC < 2.0 * spread


def test_sigmas_do_not_depend_on_the_frame():
    truth, points = exact_model(), cloud(60)
    tracks = exact_tracks(truth, points, noise=0.5)
    turn = look_at((0.3, 0.2, 0.1), (1.0, 0.5, 2.0))[:3, :3]
    poses = move_cameras(truth.cam_from_world, 3.0, turn, np.array([5.0, -2.0, 1.0]))
    moved = move_points(points, 3.0, turn, np.array([5.0, -2.0, 1.0]))
    rotation, position = covariance.pose_sigmas(truth, tracks, points, CONFIG)
    rotation_moved, position_moved = covariance.pose_sigmas(truth.with_poses(poses), tracks, moved, CONFIG)
    np.testing.assert_allclose(rotation_moved, rotation, rtol=1e-3)
    np.testing.assert_allclose(position_moved, 3 * position, rtol=1e-3)
    assert (rotation > 0).all()


def test_a_view_goes_to_its_strong_partner_and_not_to_a_repeated_part():
    truth, points = exact_model(4), cloud(420)
    tracks = exact_tracks(truth, points)
    pixels = [tracks.pixels[tracks.views == v].copy() for v in range(4)]
    # View 3 truly shares points 200-419 with view 2, of which a dozen are seen by view 1; its keypoints 0-59 look like
    # the points 0-59 of views 0 and 1, as from a place where it is not.
    fake = np.full((4, 4, 4), np.nan)
    fake[3] = look_at((-2.2, -0.4, 0.8))
    false_pixels, _ = project(truth.with_poses(fake), np.full(60, 3), points[:60])
    pixels[3][:60] = false_pixels
    keep = {
        (0, 1): np.arange(0, 120), (1, 2): np.arange(60, 212), (2, 3): np.arange(200, 420), (0, 3): np.arange(60),
        (1, 3): np.arange(60),
    }  # fmt: skip
    pairs = tuple(Pair(i, j, np.stack([at] * 2, 1), np.zeros((3, 3))) for (i, j), at in keep.items())
    graph = MatchGraph(tuple(pixels), tuple(np.full(len(p), 0.5) for p in pixels), (1.0,) * 4, pairs, ())
    linked = build_tracks(graph)
    poses = truth.cam_from_world.copy()
    poses[3] = np.nan
    start = refine(replace(truth, intrinsics_free=np.zeros(4, bool)).with_poses(poses), linked, CONFIG)
    found = add_missing(start, graph, linked, CONFIG, seed=0).model
    relative = found.cam_from_world[3, :3, :3] @ found.cam_from_world[2, :3, :3].T
    true = truth.cam_from_world[3, :3, :3] @ truth.cam_from_world[2, :3, :3].T
    assert np.degrees(np.arccos(np.clip((np.trace(relative @ true.T) - 1) / 2, -1, 1))) < 0.5
