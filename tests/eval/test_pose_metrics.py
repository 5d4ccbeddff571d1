"""Pose errors against an independent numpy computation, known cases and the invariance that they must have."""

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.eval.pose_metrics import align_worlds, focal_errors, pair_errors_deg, pose_auc, pose_metrics


def random_poses(count, generator, spread=1.0):
    tangent = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    return se3.se3_exp(tangent * torch.tensor([spread] * 3 + [0.4] * 3))


def perturbed(poses, generator, size):
    return se3.se3_exp(size * torch.randn(len(poses), 6, generator=generator, dtype=torch.float64)) @ poses


def in_another_world(poses, scale=3.7):
    rotation = se3.so3_exp(torch.tensor([0.3, -1.2, 0.5], dtype=torch.float64))
    shift = torch.tensor([4.0, -2.0, 9.0], dtype=torch.float64)
    return se3.apply_sim3_to_cameras(poses, torch.tensor(scale, dtype=torch.float64), rotation, shift)


def outside_scorer(est, true):
    """Alignment, rotation errors and relative ATE with numpy alone."""
    run, world = [np.linalg.inv(m) for m in est.numpy()], [np.linalg.inv(m) for m in true.numpy()]
    u, _, vt = np.linalg.svd(sum(e[:3, :3] @ t[:3, :3].T for e, t in zip(run, world, strict=True)))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    a = np.array([rotation @ t[:3, 3] for t in world])
    b = np.array([e[:3, 3] for e in run])
    a0, b0 = a - a.mean(0), b - b.mean(0)
    scale = (a0 * b0).sum() / (a0**2).sum()
    cosines = [(np.trace(e[:3, :3].T @ rotation @ t[:3, :3]) - 1) / 2 for e, t in zip(run, world, strict=True)]
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    residual = (b0 - scale * a0) / scale
    return scale, angles, np.sqrt((residual**2).sum(1).mean()) / np.sqrt((a0**2).sum(1).mean())


@pytest.mark.parametrize("count", [2, 3, 7])
def test_agrees_with_an_outside_scorer(generator, count):
    true = random_poses(count, generator)
    est = perturbed(in_another_world(true), generator, 0.05)
    metrics, sim3 = pose_metrics(est, true)
    scale, angles, ate = outside_scorer(est, true)
    assert sim3.scale == pytest.approx(scale)
    np.testing.assert_allclose(metrics.rotation_deg, angles, atol=1e-5)
    assert metrics.ate_relative == pytest.approx(ate)


def test_errors_do_not_depend_on_the_runs_world(generator):
    true = random_poses(6, generator)
    est = perturbed(true, generator, 0.05)
    first, second = pose_metrics(est, true)[0], pose_metrics(in_another_world(est), true)[0]
    np.testing.assert_allclose(first.rotation_deg, second.rotation_deg, atol=1e-9)
    names = ("ate", "ate_relative", "rpe_rotation_deg", "rpe_translation", "pair_rotation_deg", "pair_direction_deg")
    for name in names:
        assert getattr(first, name) == pytest.approx(getattr(second, name)), name
    assert first.auc == second.auc
    larger = pose_metrics(in_another_world(est), in_another_world(true, 5.0))[0]
    assert larger.ate == pytest.approx(5 * first.ate)
    assert larger.ate_relative == pytest.approx(first.ate_relative)


def test_perfect_poses_have_no_error(generator):
    true = random_poses(5, generator)
    metrics, sim3 = pose_metrics(in_another_world(true), true)
    assert sim3.scale == pytest.approx(3.7)
    assert max(metrics.rotation_deg) < 1e-6
    assert max(metrics.ate, metrics.rpe_translation, metrics.pair_direction_deg) < 1e-6
    assert metrics.auc == metrics.auc_signed == dict.fromkeys((3, 5, 10, 30), 1.0)
    moved = sim3.move_cameras(true)
    torch.testing.assert_close(moved, in_another_world(true))


def test_relative_pose_error_is_evos(generator):
    """RMS over neighbours of inverse(true_i^-1 true_j) (est_i^-1 est_j), the definition of Sturm et al. 2012."""
    true = random_poses(5, generator)
    est = perturbed(true, generator, 0.02)
    metrics, sim3 = pose_metrics(est, true)
    lengths, angles = [], []
    for i in range(4):
        q, p = (np.linalg.inv(poses[i : i + 2].numpy()) for poses in (true, est))
        p[:, :3, 3] /= sim3.scale
        error = np.linalg.inv(np.linalg.inv(q[0]) @ q[1]) @ (np.linalg.inv(p[0]) @ p[1])
        lengths.append(np.linalg.norm(error[:3, 3]))
        angles.append(np.degrees(np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1))))
    assert metrics.rpe_translation == pytest.approx(np.sqrt(np.mean(np.square(lengths))))
    assert metrics.rpe_rotation_deg == pytest.approx(np.sqrt(np.mean(np.square(angles))), rel=1e-4)


def evo_trajectories(est, true, sim3):
    """Both sets of cameras as evo has them, the estimate in the true world by our alignment."""
    from evo.core.trajectory import PosePath3D

    back = se3.apply_sim3_to_cameras(
        est,
        torch.tensor(1 / sim3.scale, dtype=torch.float64),
        sim3.rotation.T,
        -(sim3.rotation.T @ sim3.translation) / sim3.scale,
    )
    return [PosePath3D(poses_se3=list(se3.invert(poses).numpy())) for poses in (true, back)]


def test_agrees_with_evo(generator):
    metrics_of = pytest.importorskip("evo.core.metrics")
    true = random_poses(7, generator)
    est = perturbed(in_another_world(true), generator, 0.05)
    ours, sim3 = pose_metrics(est, true)
    pair = evo_trajectories(est, true, sim3)

    def evo(metric):
        metric.process_data(tuple(pair))
        return metric

    relation, rms = metrics_of.PoseRelation, metrics_of.StatisticsType.rmse
    assert ours.ate == pytest.approx(evo(metrics_of.APE(relation.translation_part)).get_statistic(rms))
    angles = evo(metrics_of.APE(relation.rotation_angle_deg)).error
    np.testing.assert_allclose(ours.rotation_deg, angles, atol=1e-5)
    for relation_part, found in (
        (relation.translation_part, ours.rpe_translation),
        (relation.rotation_angle_deg, ours.rpe_rotation_deg),
    ):
        theirs = evo(metrics_of.RPE(relation_part, delta=1, delta_unit=metrics_of.Unit.frames, all_pairs=False))
        assert found == pytest.approx(theirs.get_statistic(rms), rel=1e-5)


def test_the_error_after_an_alignment_of_the_centres_is_evos(generator):
    """Umeyama's least squares over the centres, blind to the orientations: always the smaller ATE."""
    metrics_of = pytest.importorskip("evo.core.metrics")
    true = random_poses(7, generator)
    est = perturbed(in_another_world(true), generator, 0.05)
    ours, sim3 = pose_metrics(est, true)
    reference, found = evo_trajectories(est, true, sim3)
    found.align(reference, correct_scale=True)
    metric = metrics_of.APE(metrics_of.PoseRelation.translation_part)
    metric.process_data((reference, found))
    assert ours.ate_centres == pytest.approx(metric.get_statistic(metrics_of.StatisticsType.rmse))
    assert ours.ate_centres < ours.ate
    assert pose_metrics(est[:2], true[:2])[0].ate_centres is None
    line = true[:3].clone()
    line[:, :3, 3] = -line[:, :3, :3] @ torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64) * torch.arange(3.0)[:, None]
    assert pose_metrics(line, line)[0].ate_centres is None


def test_auc_of_known_errors():
    assert pose_auc(np.array([0.5, 0.5]), 5) == 1
    assert pose_auc(np.array([0.5, 90.0]), 5) == 0.5
    assert pose_auc(np.array([2.5]), 5) == pytest.approx(3 / 5)  # right at 3, 4 and 5 degrees
    assert pose_auc(np.array([5.0]), 5) == pytest.approx(1 / 5)
    assert pose_auc(np.array([0.5]), 30, failed=3) == 0.25
    assert np.isnan(pose_auc(np.zeros(0), 5))


def test_missing_views_fail_and_the_sign_counts_where_it_is_said_to(generator):
    true = random_poses(3, generator)
    metrics, _ = pose_metrics(true.clone(), true, missing=1)
    assert metrics.auc[5] == pytest.approx(0.5)  # 3 of 6 pairs
    forward = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    forward[1, 0, 3] = -1
    backward = forward.clone()
    backward[1, 0, 3] = 1
    angles, directions = pair_errors_deg(backward, forward)
    assert angles.tolist() == [0.0]
    assert directions.tolist() == [180.0]
    with pytest.raises(ValueError, match="scale"):
        align_worlds(backward, forward)


def test_vanishing_baselines():
    still = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    moved = still.clone()
    moved[1, 0, 3] = 1
    assert pair_errors_deg(still, still)[1].tolist() == [0.0]
    assert pair_errors_deg(still, moved)[1].tolist() == [180.0]
    with pytest.raises(ValueError):
        pose_metrics(moved, still)
    with pytest.raises(ValueError):
        pose_metrics(still, moved)
    with pytest.raises(ValueError):
        pose_metrics(still[:1], moved[:1])


def test_focal_error_over_sizes():
    K = torch.diag(torch.tensor([110.0, 110.0, 1.0]))[None]
    K_true = torch.diag(torch.tensor([200.0, 200.0, 1.0]))[None]
    assert focal_errors(K, ((100, 50),), K_true, ((200, 100),)) == (pytest.approx(0.1),)
