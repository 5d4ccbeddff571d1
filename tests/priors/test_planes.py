"""Planes found in what views are sure of, and continued where they are not."""

import numpy as np
import pytest

from sparse3d.priors.stereo.plane_sweep import PosedImage
from sparse3d.priors.stereo.planar_completion import continue_planes
from sparse3d.priors.stereo.planes import find_planes

SIZE = (200, 150)
K = np.array([[180.0, 0, 100], [0, 180.0, 75], [0, 0, 1]])
TABLE_NORMAL, TABLE_OFFSET = np.array([0.0, -1.0, -0.6]) / np.hypot(1, 0.6), 1.9
TABLE, OBJECT, FARTHEST = np.array([0.6, 0.4, 0.2]), np.array([0.9, 0.9, 0.95]), 60.0


def pose(x: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = -x
    return matrix


def table_view(x: float) -> tuple[PosedImage, np.ndarray, np.ndarray]:
    """A table with a box that faces the camera on it: the view, its exact inverse depth, and the box's pixels."""
    blank = PosedImage.build(
        np.zeros((SIZE[1], SIZE[0], 3), np.float32), np.ones((SIZE[1], SIZE[0]), bool), K, pose(x)
    )
    rays = blank.rays().astype(float)
    table = -(rays @ TABLE_NORMAL) / (TABLE_OFFSET - TABLE_NORMAL @ pose(x)[:3, 3])
    columns = (rays[..., 0] / 0.45 + x + 0.3) / 0.6
    rows = (rays[..., 1] + 0.05) / 0.25
    box = (columns > 0) & (columns < 1) & (rows > 0) & (rows < 1)
    noise = np.random.default_rng(1).normal(0, 0.004, (*box.shape, 1))
    colour = np.where(box[..., None], OBJECT, TABLE) + noise
    inverse = np.where(box, 0.45, table)
    return PosedImage.build(colour.astype(np.float32), blank.mask, K, pose(x)), inverse.astype(np.float32), box


def test_planes_are_found_with_their_normals():
    found = [table_view(x) for x in (0.0, 0.2)]
    planes = find_planes([f[0] for f in found], [f[1] for f in found], [f[1] > 0.05 for f in found])
    table = planes[0]
    sign = np.sign(table.normal @ TABLE_NORMAL)
    np.testing.assert_allclose(sign * table.normal, TABLE_NORMAL, atol=1e-3)
    assert sign * table.offset == pytest.approx(TABLE_OFFSET, rel=1e-3)
    np.testing.assert_allclose(table.inverse_depth(found[0][0])[-1], found[0][1][-1], rtol=1e-3)


def test_a_table_goes_on_where_nobody_saw_it_and_the_rest_stays():
    views, truth, boxes = zip(*(table_view(x) for x in (0.0, 0.2)), strict=True)
    sure = [t > 0.1 for t in truth]
    sure[0][:, :70] = False  # what the second photo does not show
    sure[0] &= ~np.roll(boxes[0], -12, 1) | boxes[0]  # and a strip beside the box
    filled = [np.where(s, t, 0.42).astype(np.float32) for s, t in zip(sure, truth, strict=True)]
    continued = continue_planes(views, filled, sure)
    np.testing.assert_array_equal(continued[0][sure[0]], filled[0][sure[0]])
    table = ~sure[0] & ~boxes[0] & (truth[0] > 0.12)
    before = np.abs(filled[0] / truth[0] - 1)[table]
    after = np.abs(continued[0] / truth[0] - 1)[table]
    assert table.sum() > 2000
    assert (before < 0.02).mean() < 0.2
    assert (after < 0.02).mean() > 0.9


def test_without_planes_nothing_changes():
    rng = np.random.default_rng(0)
    view, _, _ = table_view(0.0)
    rough = rng.uniform(0.2, 1.0, (SIZE[1], SIZE[0])).astype(np.float32)
    sure = rng.random(rough.shape) < 0.7
    assert find_planes([view], [rough], [sure]) == []
    [same] = continue_planes([view], [rough], [sure])
    np.testing.assert_array_equal(same, rough)


def test_a_plane_does_not_go_through_what_another_view_sees_through():
    """What a second view looks through stays empty, whatever the colours say."""
    view, truth, _ = table_view(0.0)
    other, _, _ = table_view(0.2)
    far = np.full_like(truth, 0.02)  # the second view saw something far behind everywhere on its left half
    far[:, 100:] = truth[:, 100:]
    sure = truth > 0.1
    sure[:, :90] = False
    filled = np.where(sure, truth, 0.02).astype(np.float32)
    continued, _ = continue_planes([view, other], [filled, far], [sure, far > 0])
    emptied = np.zeros_like(sure)
    emptied[100:140, 25:60] = True
    assert (continued[emptied] > 0.03).mean() < 0.1
