"""Pixels of one view in another."""

import torch
from toy import HEIGHT, WIDTH, toy_cameras, toy_params, toy_prior

from sparse3d.core.cameras import pixel_grid, project, unproject
from sparse3d.optim.warping import nearest_views, reproject, same_surface, sample


def test_reproject_is_unproject_and_project():
    cameras = toy_cameras()
    depth = 2 + torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)).double()
    depth[5, 7] = 0
    points = unproject(depth[None], cameras.select([0])).reshape(1, -1, 3)
    pixels, z = project(cameras.select([2]), points)
    found = reproject(depth, cameras.select([0]), cameras.select([2]))
    known = depth > 0
    assert torch.allclose(found.pixels[known], pixels[0].reshape(HEIGHT, WIDTH, 2)[known])
    assert torch.allclose(found.depth[known], z[0].reshape(HEIGHT, WIDTH)[known])
    assert not found.inside[5, 7]
    on_image = (found.pixels > 0).all(-1) & (found.pixels[..., 0] < WIDTH) & (found.pixels[..., 1] < HEIGHT)
    assert torch.equal(found.inside, on_image & known)
    assert 0 < int(found.inside.sum()) < HEIGHT * WIDTH


def test_what_lies_behind_the_camera_is_not_inside():
    cameras = toy_cameras()
    behind = cameras.select([0])
    turned = behind.replace(cam_from_world=torch.diag(torch.tensor([-1.0, 1, -1, 1])).double() @ behind.cam_from_world)
    assert not reproject(torch.full((HEIGHT, WIDTH), 3.0), behind, turned).inside.any()


def test_reproject_has_the_right_gradient():
    cameras = toy_cameras()
    depth = (2 + torch.rand(4, 5, generator=torch.Generator().manual_seed(1)).double()).requires_grad_()
    poses = cameras.cam_from_world.clone().requires_grad_()

    def landed(depth, poses):
        moved = cameras.replace(cam_from_world=poses)
        found = reproject(depth, moved.select([0]), moved.select([1]))
        return found.pixels, found.depth

    assert torch.autograd.gradcheck(landed, (depth, poses))


def test_sample_at_pixel_centres_gives_the_pixels():
    image = torch.rand(6, 9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    centres = pixel_grid(9, 6)
    assert torch.allclose(sample(image, centres), image)
    assert torch.equal(sample(image, centres + 0.3, nearest=True), image)
    between = sample(image, centres[:, :-1] + torch.tensor([0.5, 0.0], dtype=torch.float64))
    assert torch.allclose(between, (image[:, 1:] + image[:, :-1]) / 2)


def test_the_same_surface_is_known_by_its_depth(generator):
    prior = toy_prior(toy_params(generator), toy_cameras())
    views = [prior.cameras.select([i]) for i in (0, 1)]
    landing = reproject(prior.depths[0].depth, *views)
    same = same_surface(landing, prior.depths[1].depth, 0.02)
    assert float(same[landing.inside].float().mean()) > 0.95
    assert not same[~landing.inside].any()
    assert not same_surface(landing, 1.05 * prior.depths[1].depth, 0.02).any()
    assert not same_surface(landing, torch.zeros(HEIGHT, WIDTH), 0.02).any()


def test_nearest_views_are_sorted_and_leave_out_the_view():
    assert nearest_views(toy_cameras(4), 0, 2) == [1, 2]
    assert nearest_views(toy_cameras(1), 0, 2) == []
