"""The compiled rasteriser against its slow twin, `sparse3d.render.reference`."""

import pytest
import torch
from splat_scenes import Scene, images_and_gradients, outliers, random_scene, with_scales

FORWARD, GRADIENT = 1e-5, 1e-4
"""Tolerances in float32, relative to the largest value of the tensor."""
ALLOWED = 2e-3
"""Share of values that may lie beyond: where an alpha is within rounding of 1/255 or a depth order flips."""


def near_plane_scene() -> Scene:
    return random_scene(60, seed=4, depth=(0.005, 0.6), sigma=(0.002, 0.05), spread=1.5)


SCENES = {
    "ordinary": lambda: random_scene(300, seed=1, degree=2),
    "degree 3, one view": lambda: random_scene(150, seed=2, degree=3, views=1, features=0),
    "many features": lambda: random_scene(80, seed=8, degree=0, views=1, features=7),
    "elongated 25:1": lambda: with_scales(random_scene(80, seed=3), 25.0, longest=0.5),
    "tiny": lambda: random_scene(400, seed=5, sigma=(1e-5, 2e-3)),
    "huge": lambda: random_scene(40, seed=6, sigma=(0.5, 3.0)),
    "near the camera": near_plane_scene,
    "off screen": lambda: random_scene(200, seed=7, spread=3.0, sigma=(0.1, 0.6)),
}


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("name", SCENES)
def test_float64_equals_the_reference(name, antialias):
    scene = SCENES[name]()
    expected = images_and_gradients(scene, "reference", antialias=antialias)
    found = images_and_gradients(scene, "cpu", antialias=antialias)
    for want, got in zip(expected, found, strict=True):
        for key in want:
            assert outliers(got[key], want[key], 1e-9) == 0, key


@pytest.mark.parametrize("name", SCENES)
def test_float32_equals_the_float64_reference(name):
    scene = SCENES[name]()
    # What float32 can hold is drawn by both, so that the comparison is of the arithmetic alone.
    scene = scene.to(torch.float32).to(torch.float64)
    expected_images, expected_gradients = images_and_gradients(scene, "reference")
    images, gradients = images_and_gradients(scene, "cpu", torch.float32)
    for key, image in images.items():
        assert outliers(image, expected_images[key], FORWARD) <= ALLOWED, key
    for key, gradient in gradients.items():
        assert outliers(gradient, expected_gradients[key], GRADIENT) <= ALLOWED, key


@pytest.mark.parametrize("depth", [False, True])
def test_statistics_equal_the_reference(depth):
    from splat_scenes import draw

    from sparse3d.render.rasterise import RenderOptions

    scene = random_scene(200, seed=9, size=(80, 50))
    found = []
    for backend in ("reference", "cpu"):
        leaves = tuple(t.clone().requires_grad_() for t in scene.tensors)
        output = draw(scene, leaves, RenderOptions(backend=backend, statistics=True, depth=depth))
        output.rgb.square().sum().backward()
        found.append(output.statistics)
    for field in ("radii", "weight_sum", "weight_max", "centre_gradients"):
        torch.testing.assert_close(getattr(found[1], field), getattr(found[0], field), rtol=1e-9, atol=1e-9)
    assert (found[1].weight_max <= 1).all() and (found[1].radii > 0).any()
