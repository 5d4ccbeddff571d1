"""The gsplat backend where the package is absent, of another version, or asked for what it lacks; and its conventions."""

import sys
from types import ModuleType

import gsplat_stand_in
import pytest
import torch
from splat_scenes import draw, random_scene, with_masks

from sparse3d.core.errors import MissingDependency
from sparse3d.core.gaussians import Gaussians
from sparse3d.render.gsplat import load_gsplat
from sparse3d.render.rasterise import RenderOptions, choose_backend
from sparse3d.render.reference_projection import project
from sparse3d.render.spherical_harmonics import sh_basis

GSPLAT = RenderOptions(backend="gsplat")


def test_an_absent_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gsplat", None)
    with pytest.raises(MissingDependency, match=r"pip install 'sparse3d\[gsplat\]'"):
        choose_backend("gsplat")


def test_another_version_is_refused(monkeypatch):
    other = ModuleType("gsplat")
    other.__dict__["__version__"] = "0.1.11"
    monkeypatch.setitem(sys.modules, "gsplat", other)
    with pytest.raises(MissingDependency, match=r"needs gsplat 1\.5\.x, found 0\.1\.11"):
        load_gsplat()


def test_what_it_lacks_is_named(monkeypatch):
    gsplat_stand_in.install(monkeypatch)
    scene = random_scene(5).to(torch.float32)
    for options in (
        RenderOptions(backend="gsplat", median_depth=True),
        RenderOptions(backend="gsplat", statistics=True),
    ):
        name = "median_depth" if options.median_depth else "statistics"
        with pytest.raises(ValueError, match=name):
            draw(scene, scene.tensors, options)
    masked = with_masks(random_scene(5)).to(torch.float32)
    with pytest.raises(ValueError, match="masks"):
        draw(masked, masked.tensors, GSPLAT)
    moving = (*scene.tensors[:7], scene.tensors[7].clone().requires_grad_())
    with pytest.raises(ValueError, match="gradients to K"):
        draw(scene, moving, GSPLAT)
    with torch.no_grad():
        assert draw(scene, moving, GSPLAT).rgb.isfinite().all()


def test_other_tensors_are_refused(monkeypatch):
    scene = random_scene(5)
    gsplat_stand_in.install(monkeypatch)
    with pytest.raises(ValueError, match="float64"):
        draw(scene, scene.tensors, GSPLAT)
    monkeypatch.undo()
    gsplat_stand_in.install(monkeypatch)
    monkeypatch.setattr("sparse3d.render.gsplat.DEVICE", "cuda")
    scene = scene.to(torch.float32)
    with pytest.raises(ValueError, match="on cpu, it takes float32 on cuda alone"):
        draw(scene, scene.tensors, GSPLAT)


@pytest.fixture
def gsplat_torch():
    """gsplat's own torch implementation, which runs without a GPU."""
    pytest.importorskip("gsplat", reason="gsplat is not installed")
    from gsplat.cuda import _torch_impl

    return _torch_impl


def test_gsplat_has_our_spherical_harmonics(gsplat_torch, generator):
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=generator, dtype=torch.float64), dim=1)
    coefficients = torch.randn(50, 16, 3, generator=generator, dtype=torch.float64)
    for degree in range(4):
        found = gsplat_torch._spherical_harmonics(degree, directions, coefficients)
        basis = sh_basis(directions, (degree + 1) ** 2)
        torch.testing.assert_close(found, (basis[..., None] * coefficients[:, : basis.shape[1]]).sum(1))


@pytest.mark.parametrize("spread", [0.8, 3.0])
def test_gsplat_has_our_projection(gsplat_torch, spread):
    """Pixel centres, the limit of the Jacobian beyond the image, eps2d and the antialiasing's compensation."""
    scene = random_scene(60, seed=2, spread=spread, sigma=(0.05, 0.4))
    g, (width, height) = Gaussians(*scene.tensors[:5]), scene.size
    pose, k = scene.tensors[6][:1], scene.tensors[7][:1]
    covariances = gsplat_torch._quat_scale_to_covar_preci(g.quats_wxyz, g.scales, True, False, triu=False)[0]
    _, centres, depths, conics, factors = gsplat_torch._fully_fused_projection(
        g.means, covariances, pose, k, width, height, eps2d=0.4, calc_compensations=True
    )
    options = RenderOptions(eps2d=0.4, antialias=True)
    splats = project(g, None, pose[0], k[0], options, width, height)
    assert len(splats.index) > 10
    torch.testing.assert_close(splats.centres, centres[0, splats.index])
    torch.testing.assert_close(splats.channels[:, 3], depths[0, splats.index])
    torch.testing.assert_close(splats.conics, conics[0, splats.index], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(splats.opacities, (g.opacities * factors[0])[splats.index], rtol=1e-9, atol=1e-12)


def test_the_stand_in_takes_arguments_that_gsplat_has(gsplat_torch):
    import inspect

    import gsplat

    for name in ("rasterization", "spherical_harmonics"):
        theirs = inspect.signature(getattr(gsplat, name)).parameters
        for parameter in inspect.signature(getattr(gsplat_stand_in, name)).parameters.values():
            assert parameter.name in theirs, parameter.name
            assert parameter.default == theirs[parameter.name].default, parameter.name
