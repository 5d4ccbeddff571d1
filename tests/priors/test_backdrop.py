"""The backdrop: continues the background, never hides what another photo shows."""

import numpy as np

from sparse3d.priors.backdrop import BackdropConfig, backdrop_cells
from sparse3d.priors.stereo.plane_sweep import PosedImage

WIDTH, HEIGHT, FOCAL = 160, 120, 140.0

CONFIG = BackdropConfig(cell_px=4)


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
    [cells] = backdrop_cells(
        [view], [inverse], [inverse > 0], BackdropConfig(cell_px=4, window=0.2), max_gaussians=100_000
    )
    inside = (cells.x > 0) & (cells.x < WIDTH) & (cells.y > 0) & (cells.y < HEIGHT)
    hidden = inside & (np.abs(cells.x - 80) < cells.side / 2 + 4)
    assert (cells.side[hidden] ** 2).sum() >= 8 * HEIGHT
    assert np.abs(cells.depth[hidden] - 4.04).max() < 0.15
    assert np.abs(cells.colour[hidden] - [0.1, 0.7, 0.1]).max() < 0.05
    assert (cells.x < 0).any() and (cells.x > WIDTH).any() and (cells.y < 0).any() and (cells.y > HEIGHT).any()
    assert (cells.support == 0).all() and (cells.confidence < 0.1).all()
    wall = inside & (np.abs(cells.x - 80) > 30)
    assert (cells.side[wall] ** 2).sum() > 500 * 16 and (cells.depth[wall] > 4.0).all(), (
        "it goes on behind the wall itself, never before it"
    )


def test_nothing_stands_where_another_photo_looks_through():
    colour, inverse = post_before_a_wall()
    near = view_at(0.0, colour)
    # The second photo sees the wall at depth 8: what the first would continue at depth 4 is in front of it.
    far = view_at(2.0, colour)
    free = np.full_like(inverse, 1 / 8)
    alone = backdrop_cells([near], [inverse], [inverse > 0], CONFIG, max_gaussians=100_000)[0]
    both = backdrop_cells([near, far], [inverse, free], [inverse > 0, free > 0], CONFIG, max_gaussians=100_000)[0]
    points_x = (both.x - WIDTH / 2) / FOCAL * both.depth - 2.0
    seen_by_far = np.abs(points_x / both.depth * FOCAL) < WIDTH / 2 - 1
    seen_by_far &= (both.y > 0) & (both.y < HEIGHT)
    assert len(both.x) < len(alone.x)
    assert not seen_by_far.any()


def test_masked_and_unknown_pixels_give_no_background():
    colour, inverse = post_before_a_wall()
    unknown = np.zeros_like(inverse)
    [cells] = backdrop_cells([view_at(0.0, colour)], [unknown], [unknown > 0], BackdropConfig(), max_gaussians=100_000)
    assert len(cells.x) == 0


def test_squares_are_large_where_colours_are_alike_and_beyond_the_frame():
    colour, inverse = post_before_a_wall()
    colour[:, :40] = np.where(np.indices((HEIGHT, 40)).sum(0)[..., None] // 8 % 2, 0.9, 0.1)
    inverse[:] = 1 / 4
    colour[:, 76:84] = [0.1, 0.7, 0.1]
    [cells] = backdrop_cells([view_at(0.0, colour)], [inverse], [inverse > 0], CONFIG, max_gaussians=100_000)
    inside = (cells.x > 0) & (cells.x < WIDTH) & (cells.y > 0) & (cells.y < HEIGHT)
    assert set(cells.side[inside & (cells.x < 32)]) == {4}, "a pattern keeps its detail"
    assert set(cells.side[inside & (cells.x > 48)]) == {8}
    assert set(cells.side[~inside]) == {16}
    area = (cells.side[inside] ** 2).sum()
    assert abs(area - WIDTH * HEIGHT) < 16 * HEIGHT, "no gap and no overlap"


def test_a_cell_has_the_mean_of_what_the_photos_show_there():
    colour, inverse = post_before_a_wall()
    near, beside = view_at(0.0, colour), view_at(0.3, np.full_like(colour, 0.5))
    sure = [inverse > 0, np.zeros_like(inverse, bool)]
    cells = backdrop_cells([near, beside], [inverse, inverse], sure, CONFIG, max_gaussians=100_000)[0]
    wall = (cells.x > 100) & (cells.x < 150) & (cells.y > 0) & (cells.y < HEIGHT)
    assert wall.sum() > 50
    assert np.abs(cells.colour[wall] - [0.3, 0.6, 0.3]).max() < 0.05
    hidden = backdrop_cells([near, beside], [inverse, inverse * 1.2], [inverse > 0] * 2, CONFIG, max_gaussians=100_000)
    wall = (hidden[0].x > 100) & (hidden[0].x < 150) & (hidden[0].y > 0) & (hidden[0].y < HEIGHT)
    assert np.abs(hidden[0].colour[wall] - [0.1, 0.7, 0.1]).max() < 0.05, "a sure surface hides it from the other photo"


def test_behind_the_rim_of_a_bright_post_before_darkness_it_is_dark():
    """The middle of a wide post counts as a background of its own, whose colour must not show where the far one is."""
    colour, inverse = post_before_a_wall()
    colour[:] = 0.02
    colour[:, 30:130], inverse[:, 30:130] = 0.9, 1 / 2

    def behind_rim_and_middle(dark):
        config = BackdropConfig(cell_px=4, window=0.2, dark=dark)
        [cells] = backdrop_cells([view_at(0.0, colour)], [inverse], [inverse > 0], config, max_gaussians=100_000)
        inside = (cells.x > 0) & (cells.x < WIDTH) & (cells.y > 0) & (cells.y < HEIGHT)
        far_behind = inside & (cells.depth > 3.4) & (np.abs(cells.x - 80) < 48)
        assert far_behind.any()
        return cells.colour[far_behind], cells.colour[inside & (np.abs(cells.x - 80) < 8)]

    rim, middle = behind_rim_and_middle(0.1)
    assert rim.max() < 0.1
    assert middle.min() > 0.8
    mixed, _ = behind_rim_and_middle(0.0)
    assert mixed.max() > 0.1, "off, the post's colour shows there"
