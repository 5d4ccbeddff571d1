"""Gaussians from depth maps: exact depth of a wall seen by two cameras, so that redundancy is known."""

import dataclasses

import numpy as np
import pytest
import torch

from sparse3d.core.cameras import Cameras, intrinsics_matrix, project
from sparse3d.core.gaussians import SH_C0
from sparse3d.core.geometry_prior import GeometryPrior, SparsePoints, ViewDepth
from sparse3d.core.se3 import quat_wxyz_to_rotation
from sparse3d.priors.backdrop import BackdropConfig
from sparse3d.priors.fusion import InitialiseConfig, initialise_gaussians

WIDTH, HEIGHT, FOCAL, WALL = 96, 64, 100.0, 4.0
NO_POINTS = SparsePoints(
    torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0),
    torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2),
)  # fmt: skip


def wall_prior(
    confidences: tuple[float, float] = (0.9, 0.8), shift: float = 0.5, textured: bool = True
) -> GeometryPrior:
    """Two parallel cameras `shift` apart before a wall at depth 4; the second shares all but a strip with the first."""
    poses = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    poses[1, 0, 3] = -shift
    cameras = Cameras.build(poses, intrinsics_matrix(FOCAL, FOCAL, 48.0, 32.0).repeat(2, 1, 1), [(WIDTH, HEIGHT)] * 2)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(HEIGHT, WIDTH, 3, generator=generator) if textured else torch.full((HEIGHT, WIDTH, 3), 0.4)
    depths = tuple(
        ViewDepth(torch.full((HEIGHT, WIDTH), WALL), torch.full((HEIGHT, WIDTH), c), torch.ones(HEIGHT, WIDTH).long())
        for c in confidences
    )
    masks = (torch.ones(HEIGHT, WIDTH),) * 2
    return GeometryPrior(cameras, depths, (image, image), masks, cameras, NO_POINTS, (), (), "test", "global")


def with_depth(prior: GeometryPrior, index: int, **changes) -> GeometryPrior:
    depths = list(prior.depths)
    depths[index] = dataclasses.replace(depths[index], **changes)
    return dataclasses.replace(prior, depths=tuple(depths))


SURFACES = InitialiseConfig(backdrop=BackdropConfig(enabled=False))
"""What the photos show alone; the backdrop has tests of its own."""


def test_what_a_better_view_explains_is_dropped():
    params = initialise_gaussians(wall_prior(), SURFACES)
    strip = 0.5 * FOCAL / WALL  # pixels of the second view that the first does not see
    assert WIDTH * HEIGHT < len(params) <= (WIDTH + strip + 2) * HEIGHT


def test_gaussians_lie_on_the_wall_and_along_it():
    params = initialise_gaussians(wall_prior(), SURFACES)
    assert torch.allclose(params.means[:, 2], torch.full((len(params),), WALL), atol=1e-4)
    thinnest = quat_wxyz_to_rotation(params.quats_wxyz)[torch.arange(len(params)), :, params.log_scales.argmin(-1)]
    assert (thinnest[:, 2].abs() > 0.999).all()


def test_gaussians_project_to_their_pixels_with_their_colours():
    prior = wall_prior()
    params = initialise_gaussians(prior, SURFACES)
    pixels, _ = project(prior.cameras.select([0]), params.means.double()[None])
    x, y = pixels[0, : WIDTH * HEIGHT].T
    assert torch.allclose(x - x.floor(), torch.full_like(x, 0.5), atol=1e-3)
    colour = params.sh[: WIDTH * HEIGHT, 0] * SH_C0 + 0.5
    assert torch.allclose(colour, prior.images[0][y.long(), x.long()], atol=1e-5)


def test_flat_regions_merge_and_keep_their_area():
    params = initialise_gaussians(wall_prior(textured=False), SURFACES)
    assert len(params) < WIDTH * HEIGHT / 30
    config = SURFACES
    expected = WALL / FOCAL * config.scale_px * 8
    assert params.log_scales.exp().amax().item() == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("budget", [50, 1000, 4000])
def test_the_budget_holds(budget: int):
    assert 0 < len(initialise_gaussians(wall_prior(), InitialiseConfig(max_gaussians=budget))) <= budget


def test_what_was_filled_in_starts_faint_and_the_backdrop_closes_gaps():
    prior = wall_prior()
    confidence = prior.depths[0].confidence.clone()
    confidence[:, :40] = 0.1
    params = initialise_gaussians(with_depth(prior, 0, confidence=confidence), InitialiseConfig())
    opacities, surface = params.logit_opacities.sigmoid(), params.confidence > 0.05
    unsure = surface & (params.confidence < 0.25)
    assert unsure.sum() > 500
    assert torch.allclose(opacities[unsure], torch.tensor(0.03), atol=1e-4)
    assert torch.allclose(opacities[surface & ~unsure], torch.tensor(0.2), atol=1e-4)
    assert torch.allclose(opacities[~surface], torch.tensor(0.9), atol=1e-4)
    cell = 8 * params.means[~surface, 2] / FOCAL
    assert (params.log_scales.exp()[~surface, :2].amin(1) > 0.8 * cell).all()


def test_filled_in_depth_in_free_space_is_dropped():
    prior = wall_prior(shift=0.2)
    depth, confidence = prior.depths[1].depth.clone(), prior.depths[1].confidence.clone()
    depth[20:30, 40:60] = 2.0
    confidence[20:30, 40:60] = 0.1
    params = initialise_gaussians(with_depth(prior, 1, depth=depth, confidence=confidence), SURFACES)
    assert (params.means[:, 2] > 3.9).all()
    confidence[20:30, 40:60] = 0.8
    params = initialise_gaussians(with_depth(prior, 1, depth=depth, confidence=confidence), SURFACES)
    assert (params.means[:, 2] < 3.0).any()


@pytest.mark.parametrize(
    ("level", "confidence", "expected"), [(0.05, 0.1, 0), (0.05, 0.5, 0), (0.05, 0.9, 1), (0.3, 0.1, 1)]
)
def test_unsure_depth_of_darkness_is_dropped(level: float, confidence: float, expected: int):
    prior = wall_prior((confidence, confidence), textured=False)
    prior = dataclasses.replace(prior, images=tuple(torch.full_like(image, level) for image in prior.images))
    try:
        made = len(initialise_gaussians(prior, SURFACES))
    except ValueError:
        made = 0
    assert (made > 0) == expected


def test_masked_and_unknown_pixels_make_no_gaussians():
    prior = wall_prior()
    masks = (prior.masks[0].clone(), prior.masks[1].clone())
    masks[0][:] = 0
    masks[1][:, :40] = 0
    params = initialise_gaussians(dataclasses.replace(prior, masks=masks), SURFACES)
    assert len(params) == HEIGHT * (WIDTH - 40)
    nothing = torch.zeros(HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="no pixel"):
        initialise_gaussians(with_depth(with_depth(prior, 0, depth=nothing), 1, depth=nothing), SURFACES)


def test_confidence_and_observations_are_kept():
    params = initialise_gaussians(wall_prior((0.9, 0.6)), SURFACES)
    assert np.allclose(sorted(set(params.confidence.numpy().round(3).tolist())), [0.6, 0.9], atol=1e-3)
    assert (params.observations == 2).all()
