"""The backdrop: continues the background, never hides what another photo shows."""

import numpy as np

from sparse3d.priors.backdrop import BackdropConfig, backdrop_cells
from sparse3d.priors.stereo.plane_sweep import PosedImage

WIDTH, HEIGHT, FOCAL = 160, 120, 140.0


def view_at(x, colour):
    cam_from_world = np.eye(4)
    cam_from_world[0, 3] = -x
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    return PosedImage.build(colour.astype(np.float32), np.ones((HEIGHT, WIDTH), bool), K, cam_from_world)


def post_before_a_wall():
    """A red post at depth 2 before a green wall at depth 4."""
    colour = np.tile(np.array([0.1, 0.7, 0.1], np.float32), (HEIGHT, WIDTH, 1))
    inverse = np.full((HEIGHT, WIDTH), 1 / 4, np.float32)
    colour[:, 76:84] = [0.8, 0.1, 0.1]
    inverse[:, 76:84] = 1 / 2
    return colour, inverse


def test_the_wall_goes_on_behind_the_post_and_beside_the_frame():
    colour, inverse = post_before_a_wall()
    view = view_at(0.0, colour)
    [cells] = backdrop_cells([view], [inverse], BackdropConfig(cell_px=4, window=0.2), max_gaussians=100_000)
    inside = (cells.x > 0) & (cells.x < WIDTH) & (cells.y > 0) & (cells.y < HEIGHT)
    hidden = inside & (cells.x > 76) & (cells.x < 84)
    assert hidden.sum() >= 30
    assert np.abs(cells.depth[hidden] - 4.04).max() < 0.15
    assert np.abs(cells.colour[hidden] - [0.1, 0.7, 0.1]).max() < 0.05
    assert (cells.x < 0).any() and (cells.x > WIDTH).any() and (cells.y < 0).any() and (cells.y > HEIGHT).any()
    assert (cells.support == 0).all() and (cells.confidence < 0.1).all()
    wall = inside & (np.abs(cells.x - 80) > 30)
    assert wall.sum() > 500 and (cells.depth[wall] > 4.0).all(), "it goes on behind the wall itself, never before it"


def test_nothing_stands_where_another_photo_looks_through():
    colour, inverse = post_before_a_wall()
    near = view_at(0.0, colour)
    # The second photo sees the wall at depth 8: what the first would continue at depth 4 is in front of it.
    far = view_at(2.0, colour)
    free = np.full_like(inverse, 1 / 8)
    alone = backdrop_cells([near], [inverse], BackdropConfig(cell_px=4), max_gaussians=100_000)[0]
    both = backdrop_cells([near, far], [inverse, free], BackdropConfig(cell_px=4), max_gaussians=100_000)[0]
    points_x = (both.x - WIDTH / 2) / FOCAL * both.depth - 2.0
    seen_by_far = np.abs(points_x / both.depth * FOCAL) < WIDTH / 2 - 1
    seen_by_far &= (both.y > 0) & (both.y < HEIGHT)
    assert len(both.x) < len(alone.x)
    assert not seen_by_far.any()


def test_masked_and_unknown_pixels_give_no_background():
    colour, inverse = post_before_a_wall()
    [cells] = backdrop_cells([view_at(0.0, colour)], [np.zeros_like(inverse)], BackdropConfig(), max_gaussians=100_000)
    assert len(cells.x) == 0
