"""What the coverage stage leaves in the run folder and in the report."""

import numpy as np
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.coverage import Coverage, GaussianCoverage, NextPhoto, PhotoCoverage
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.reconstruction import Provenance, Reconstruction
from sparse3d.io.coverage_json import read_coverage
from sparse3d.io.gaussian_layers import read_gaussian_layers
from sparse3d.io.run_folder import RunFolder
from sparse3d.pipeline.coverage import ANGLE_LAYER, ERROR_LAYER, GUESSED, SEEN_LAYER, tinted_picture, write_coverage_of
from sparse3d.pipeline.report import render_report
from sparse3d.pipeline.report_content import ReportContent
from sparse3d.pipeline.report_layout import draw_layout
from sparse3d.render.rasterise import RenderOptions

OPTIONS = RenderOptions(threads=2)


def cameras_at(*xs: float) -> Cameras:
    """On the x axis, looking along z."""
    centres = torch.tensor([[x, 0.0, 0.0] for x in xs], dtype=torch.float64)
    poses = se3.compose(torch.eye(3, dtype=torch.float64).expand(len(xs), 3, 3), -centres)
    K = intrinsics_matrix(80.0, 80.0, 40.0, 30.0).expand(len(xs), 3, 3).clone()
    return Cameras.build(poses, K, [(80, 60)] * len(xs), names=[f"{i}.jpg" for i in range(len(xs))])


def wall_scene() -> Reconstruction:
    """A grey wall 4 away, wider than its two photos."""
    x, y = torch.meshgrid(torch.arange(-4, 4, 0.08), torch.arange(-2, 2, 0.08), indexing="ij")
    count = x.numel()
    gaussians = GaussianParams(
        means=torch.stack([x.ravel(), y.ravel(), torch.full((count,), 4.0)], 1),
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.log(torch.tensor([0.05, 0.05, 1e-3])).repeat(count, 1),
        logit_opacities=torch.full((count,), 4.0),
        sh=colour_to_sh0(0.4 + 0.2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(0))),
        confidence=torch.ones(count),
        observations=torch.full((count,), 2),
    )
    return Reconstruction(cameras_at(-0.5, 0.5), gaussians, Provenance("known", {}, 0, {}, train_px=(80.0, 80.0)))


def make_coverage() -> Coverage:
    places = tuple(
        NextPhoto(cameras_at(1.5 + i), 0.3 / (i + 1), "1.jpg", f"{words} of <b>1.jpg</b>")
        for i, words in enumerate(("one step to the right", "two steps to the right"))
    )
    photos = (PhotoCoverage("0.jpg", 0.91, 14.0, 0.012), PhotoCoverage("1.jpg", 0.86, 14.0, 0.013))
    return Coverage(("The photos cover it well.",), (0.1, 0.2, 0.7, 0.0), 0.0, photos, places, 1.0)


def test_the_run_folder_holds_coverage_layers_and_pictures_come_back(tmp_path):
    scene, run = wall_scene(), RunFolder.create(tmp_path / "run")
    coverage, pictures = write_coverage_of(run, scene, seed=0, options=OPTIONS)
    assert coverage.next_photos and len(pictures) == len(coverage.next_photos)
    assert read_coverage(run.coverage).verdict == coverage.verdict
    layers = read_gaussian_layers(run.layers, len(scene.gaussians))
    assert set(layers) == {SEEN_LAYER, ANGLE_LAYER, ERROR_LAYER}
    x, y = scene.gaussians.means[:, 0].numpy(), scene.gaussians.means[:, 1].numpy()
    middle = (abs(x) < 0.3) & (abs(y) < 0.3)
    assert (layers[SEEN_LAYER][middle] == 2).all() and (layers[SEEN_LAYER][abs(x) > 2.7] == 0).all()
    assert abs(layers[ANGLE_LAYER][middle].mean() - 2 * np.degrees(np.arctan(0.5 / 4))) < 0.3
    assert layers[ERROR_LAYER][middle].mean() < layers[ERROR_LAYER][abs(x) > 2.7].mean()


def test_what_no_photo_saw_is_tinted():
    scene = wall_scene()
    x = scene.gaussians.means[:, 0]
    figures = GaussianCoverage((x < 0).float(), torch.zeros_like(x), torch.zeros_like(x))
    picture = tinted_picture(scene, figures, cameras_at(0.0), OPTIONS).astype(float)
    known, guessed = picture[20:40, 5:30].mean((0, 1)), picture[20:40, 50:75].mean((0, 1))
    assert np.ptp(known) < 12, "grey"
    assert guessed[0] - guessed[2] > 60, "orange"
    assert np.allclose(guessed, 0.55 * known + 0.45 * np.array(GUESSED), atol=8)


def test_the_report_tells_where_to_stand_next_with_a_picture_each():
    pictures = tuple(np.full((30, 40, 3), value, np.uint8) for value in (50, 200))
    content = ReportContent(
        "run", ("Fine.",), cameras=cameras_at(-0.5, 0.5), coverage=make_coverage(), next_pictures=pictures
    )
    page = render_report(content)
    assert page.index("What is known") < page.index("Where to stand next")
    for words in ("The photos cover it well.", "91 %", "14°", "1.2 %", "<b>+1</b>", "one step to the right", "30 %"):
        assert words in page
    assert "partly guessed" in page and "<b>1.jpg</b>" not in page, "words are escaped"
    assert page.count('alt="what is expected') == 2
    assert "What is known" not in render_report(ReportContent("run", ("Fine.",)))


def test_the_drawing_shows_the_places_as_ghosts():
    above, side = draw_layout(cameras_at(-0.5, 0.5), None, [p.camera for p in make_coverage().next_photos])
    for drawing in (above, side):
        assert drawing.count('class="camera ghost"') == 2 and drawing.count('class="camera"') == 2
        assert ">+1</text>" in drawing and ">+2</text>" in drawing
