"""A run as one file: nothing loaded from elsewhere, no folder of the disk in it, and of bounded size."""

import re

import pytest

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer.run import LoadedRun
from sparse3d_viewer.static_page import static_page, strongest


def test_the_page_loads_nothing_from_elsewhere():
    page = static_page(LoadedRun("my <run>", make_reconstruction(), {}))
    assert "<title>my &lt;run&gt;</title>" in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?https?:", page)
    assert "/home/" not in page and "/tmp/" not in page
    assert len(page) < 25 * 2**20


def test_the_most_visible_gaussians_are_kept_in_their_order():
    scene = make_reconstruction()
    opacities = scene.gaussians.logit_opacities.clone()
    opacities[50:60] = 3.0
    scene = scene.replace(gaussians=scene.gaussians.replace(logit_opacities=opacities))
    kept = strongest(scene, 10).gaussians
    assert kept.means.tolist() == scene.gaussians.means[50:60].tolist()
    assert strongest(scene, 200) is scene
