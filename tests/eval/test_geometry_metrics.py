"""Distances between surfaces against Open3D, scipy-free arithmetic and shapes whose answers are known."""

import numpy as np
import pytest

from sparse3d.core.cameras import Cameras
from sparse3d.eval.geometry_metrics import diagonal, geometry_metrics, sample_mesh, seen_by, thin, within_bounds
from sparse3d.io.surfaces import read_surface

THRESHOLDS = (0.02, 0.05, 0.1)


def sphere(count, radius=1.0, seed=0):
    directions = np.random.default_rng(seed).standard_normal((count, 3))
    return radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)


def tetrahedron():
    return np.eye(4)[:, :3].copy(), np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])


def test_agrees_with_open3d():
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    ours, true = sphere(3000, 1.03), sphere(4000, 1.0, seed=1)[:3000]
    clouds = [open3d.geometry.PointCloud(open3d.utility.Vector3dVector(x)) for x in (ours, true)]
    there, back = (np.asarray(a.compute_point_cloud_distance(b)) for a, b in (clouds, clouds[::-1]))
    score = geometry_metrics(ours, true, THRESHOLDS)
    assert score.accuracy == pytest.approx(there.mean())
    assert score.completeness == pytest.approx(back.mean())
    assert score.accuracy_median == pytest.approx(np.median(there))
    assert score.completeness_median == pytest.approx(np.median(back))
    assert score.chamfer == pytest.approx((there.mean() + back.mean()) / 2)
    for k, threshold in enumerate(THRESHOLDS):
        p, r = (there < threshold).mean(), (back < threshold).mean()
        assert (score.precision[k], score.recall[k]) == (pytest.approx(p), pytest.approx(r))
        assert score.f_score[k] == pytest.approx(2 * p * r / max(p + r, 1e-12))


def test_agrees_with_all_pairs():
    ours, true = sphere(200, 1.05), sphere(150, 1.0, seed=1)
    distance = np.linalg.norm(ours[:, None] - true[None], axis=-1)
    score = geometry_metrics(ours, true, THRESHOLDS)
    assert score.accuracy == pytest.approx(distance.min(1).mean())
    assert score.completeness == pytest.approx(distance.min(0).mean())
    assert score.recall[2] == pytest.approx((distance.min(0) < 0.1).mean())


def test_known_cases():
    points = np.array([[0.0, 0, 0], [1, 0, 0]])
    same = geometry_metrics(points, points, (0.1,))
    assert (same.chamfer, same.f_score) == (0, (1,))
    half = geometry_metrics(np.array([[0.0, 0, 0], [0, 3, 0]]), np.array([[0.0, 0, 0]]), (0.1,))
    assert (half.accuracy, half.completeness, half.chamfer) == (1.5, 0, 0.75)
    assert (half.precision, half.recall) == ((0.5,), (1,))
    assert half.f_score[0] == pytest.approx(2 / 3)
    cut = geometry_metrics(np.array([[0.0, 0, 0], [0, 3, 0]]), np.array([[0.0, 0, 0]]), (0.1,), max_distance=1.0)
    assert (cut.accuracy, cut.precision) == (0, (0.5,))
    apart = geometry_metrics(points, points + 9, (0.1,))
    assert apart.f_score == (0,)
    with pytest.raises(ValueError, match="need some of both"):
        geometry_metrics(points[:0], points, (0.1,))
    with pytest.raises(ValueError, match="no point lies within"):
        geometry_metrics(points, points + 9, (0.1,), max_distance=1.0)


def test_samples_lie_on_the_mesh_in_proportion_to_area():
    vertices = np.array([[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 5], [1, 0, 5], [0, 1, 5]])
    points = sample_mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]), 8000)
    low = points[points[:, 2] == 0]
    assert len(points) == 8000
    assert len(low) == pytest.approx(6000, abs=1)
    assert (points[:, :2] >= 0).all()
    assert (low[:, 0] / 3 + low[:, 1] <= 1 + 1e-12).all()
    np.testing.assert_allclose(low[:, :2].mean(0), (1, 1 / 3), atol=0.03)
    assert np.array_equal(points, sample_mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]), 8000))
    with pytest.raises(ValueError, match="no area"):
        sample_mesh(vertices, np.array([[0, 0, 1]]), 5)


def test_samples_agree_with_open3d():
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    vertices, faces = tetrahedron()
    mesh = open3d.geometry.TriangleMesh(open3d.utility.Vector3dVector(vertices), open3d.utility.Vector3iVector(faces))
    theirs = np.asarray(mesh.sample_points_uniformly(20_000).points)
    ours = sample_mesh(vertices, faces, 20_000)
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=0.01)
    assert geometry_metrics(ours, theirs, (0.03,)).f_score[0] > 0.999


def test_thinning_leaves_one_point_a_cell():
    crowded = np.concatenate([np.full((1000, 3), 0.1), [[0.9, 0.1, 0.1]], [[0.1, 0.1, 0.1]]])
    found = thin(crowded, 0.5)
    np.testing.assert_allclose(sorted(found.tolist()), [[0.1, 0.1, 0.1], [0.9, 0.1, 0.1]])
    spread = sphere(5000)
    assert len(thin(spread, 0.2)) < 1000
    assert geometry_metrics(thin(spread, 0.2), spread, (0.2,)).recall[0] > 0.99


def test_bounds_and_what_is_seen(scenes):
    true = sphere(4000)
    assert diagonal(np.array([[0.0, 0, 0], [3, 4, 0]])) == 5
    points = np.array([[0.0, 0, 1.05], [0, 0, 1.5], [0, 0, 0]])
    assert within_bounds(points, true, 0.1).tolist() == [True, False, True]
    camera = scenes.ring(1)
    centre = camera.centres[0].numpy()
    seen = seen_by(true, camera)
    facing = true @ centre
    assert seen[facing > 1.5].mean() > 0.95  # the tangent plane is at 1
    assert not seen[facing < -1].any()
    turned = camera.replace(
        cam_from_world=camera.cam_from_world * camera.cam_from_world.new_tensor([[-1], [1], [-1], [1]])
    )
    assert not seen_by(true, turned).any()
    assert seen_by(true, Cameras.build(camera.cam_from_world, camera.K, [(4, 4)])).sum() < seen.sum()


@pytest.mark.parametrize("text", [True, False])
def test_meshes_and_clouds_are_read(tmp_path, text):
    plyfile = pytest.importorskip("plyfile")
    vertices, _ = tetrahedron()
    table = np.array([tuple(v) for v in vertices], dtype=[("x", "f4"), ("y", "f4"), ("z", "f4")])
    faces = np.empty(2, dtype=[("vertex_indices", "O")])
    faces["vertex_indices"] = [np.array([0, 1, 2], np.int32), np.array([0, 1, 2, 3], np.int32)]
    elements = [plyfile.PlyElement.describe(table, "vertex"), plyfile.PlyElement.describe(faces, "face")]
    plyfile.PlyData(elements, text=text).write(str(tmp_path / "mesh.ply"))
    plyfile.PlyData(elements[:1], text=text).write(str(tmp_path / "cloud.ply"))
    mesh, cloud = read_surface(tmp_path / "mesh.ply"), read_surface(tmp_path / "cloud.ply")
    np.testing.assert_allclose(mesh.vertices, vertices)
    assert sorted(mesh.faces.tolist()) == [[0, 1, 2], [0, 1, 2], [0, 2, 3]]
    assert len(cloud.vertices) == 4 and len(cloud.faces) == 0
