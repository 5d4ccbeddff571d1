"""The page while a run is being optimised, and the page as a file, in a real browser."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sparse3d.cli.live import live_page
from sparse3d.core import se3
from sparse3d.core.cameras import concatenate
from sparse3d.core.geometry_prior import GeometryPrior, SparsePoints, ViewDepth
from sparse3d.io.cameras_json import write_cameras_json
from sparse3d.io.image_files import write_png
from sparse3d.optim.config import OptimConfig
from sparse3d.optim.optimise import optimise
from sparse3d.render.rasterise import RenderOptions, rasterise

from .pages import WINDOW, Visit, mask_of, place_of, wait_for
from .run_folders import PHOTO_SIZE, known_scene

pytestmark = pytest.mark.browser


def prior_of(scene) -> GeometryPrior:
    """The known scene's own renderings as photos, at a small size."""
    cameras = scene.cameras.resized([(PHOTO_SIZE[0] // 4, PHOTO_SIZE[1] // 4)] * 2)
    with torch.no_grad():
        output = rasterise(scene.gaussians.activate(), cameras.to(torch.float32), options=RenderOptions())
    views = range(len(cameras))
    depths = tuple(
        ViewDepth(output.depth[i], (output.alpha[i] > 0.5).float(), torch.ones_like(output.depth[i], dtype=torch.int32))
        for i in views
    )
    nothing = torch.zeros(0, dtype=torch.int64)
    points = SparsePoints(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0), nothing, nothing, torch.zeros(0, 2))
    return GeometryPrior(
        cameras=cameras,
        depths=depths,
        images=tuple(output.rgb[i] for i in views),
        masks=tuple(torch.ones_like(output.alpha[i]) for i in views),
        full_cameras=scene.cameras,
        points=points,
        unplaced=(),
        warnings=(),
        source="known",
        scale_kind="global",
    )


def write_held_out(folder: Path, scene) -> Path:
    """A third photo of the known scene, from between the other two, and the cameras of all three."""
    folder.mkdir()
    between = se3.compose(se3.so3_exp(torch.tensor([0.0, 0.2, 0.1]).double()), torch.tensor([-0.6, 0.0, 0.1]).double())
    third = scene.cameras.select([0]).replace(cam_from_world=between[None], names=("third.png",))
    with torch.no_grad():
        picture = rasterise(scene.gaussians.activate(), third.to(torch.float32), options=RenderOptions()).rgb[0]
    write_png(folder / "third.png", np.round(255 * picture.clamp(0, 1).numpy()).astype(np.uint8))
    write_cameras_json(folder / "cameras.json", concatenate([scene.cameras, third]))
    return folder


def stands_still(history: list) -> bool:
    """Whether no report came for a second, in which many do while the optimisation runs."""
    count = len(history)
    time.sleep(1.0)
    return len(history) == count


def test_a_run_is_followed_paused_and_stopped(browser, run_folders, tmp_path, keep_picture):
    scene = known_scene()
    photos = write_held_out(tmp_path / "photos", scene)
    prior, result = prior_of(scene), []
    with live_page(True, 8095) as live:
        page = browser.new_page(viewport=WINDOW)
        page.set_default_timeout(60_000)
        page.goto(live.server.url)
        wait_for(lambda: bool(live.server.get_clients()), "the page to connect")
        page.get_by_role("alert").get_by_role("button").first.click()
        live.view.stage("photos", "2 photos in /home/somebody/photos")
        live.hold_out(photos, photos / "cameras.json", prior.cameras.names)
        live.view.optimising(prior)
        view = live.view
        thread = threading.Thread(
            target=lambda: result.append(
                optimise(
                    scene.gaussians,
                    prior,
                    OptimConfig(passes=100_000),
                    render=RenderOptions(threads=1),
                    seed=0,
                    on_progress=view.progress,
                )
            ),
            daemon=True,
        )
        thread.start()
        visit = Visit(page, live, scene, [])
        wait_for(lambda: not np.isnan(place_of(visit.picture(), "red")).any(), "the splats to show")
        wait_for(lambda: view.panel.strip is not None, "a photo beside its rendering")
        wait_for(lambda: bool(view.panel.held_out), "the held-out photo to be measured")
        assert view.panel.held_out[0][1] > 30, "the Gaussians start as what the photo shows"
        assert "third.png (held out)" in page.locator("input[role=combobox]:visible").first.input_value()
        wait_for(lambda: page.get_by_text("orange: held out").count() > 0, "both curves")
        before = view.panel.strip.image.copy()
        visit.choose(0, "second.jpg")
        wait_for(lambda: (view.panel.strip.image != before).mean() > 0.01, "the other photo's strip")
        visit.choose(0, "third.png (held out)")
        page.get_by_role("button", name="Pause").click()
        wait_for(lambda: view.panel.pause.label == "Go on", "the pause")
        wait_for(lambda: stands_still(view.panel.history), "the report at which the optimisation is held")
        count = len(view.panel.history)
        time.sleep(0.5)
        assert len(view.panel.history) == count, "nothing goes on"
        keep_picture("live_paused", page.screenshot())
        text = page.inner_text("body")
        assert "Iteration" in text and "2 photos" in text and "/home" not in page.content()
        assert page.locator(".uplot canvas").count() == 2, "loss and PSNR"
        page.get_by_role("button", name="Go on").click()
        wait_for(lambda: len(view.panel.history) > count, "the run to go on")
        page.get_by_role("button", name="Stop and keep").click()
        thread.join(timeout=60)
        assert result and result[0].interrupted and 0 < len(result[0].gaussians) <= len(scene.gaussians)
        shower = threading.Thread(target=live.show_result, args=(run_folders[0],), daemon=True)
        shower.start()
        wait_for(lambda: page.get_by_role("tab", name="Tools").count() == 1, "the finished run on the same page")
        wait_for(lambda: mask_of(visit.picture(), "green").any(), "its splats")
        keep_picture("live_finished", page.screenshot())
        page.close()
    shower.join(timeout=10)
    assert not shower.is_alive(), "the page ends with the block"


def test_a_page_on_the_disk_shows_the_scene_sorted_and_loads_nothing(browser, run_folders, tmp_path, keep_picture):
    from sparse3d_viewer.run import load_run
    from sparse3d_viewer.static_page import static_page

    loaded = load_run(run_folders[0])
    # A white splat behind the red blob: where the browser cannot sort, it would be drawn over it, being last.
    gaussians = loaded.reconstruction.gaussians
    white = gaussians.select(torch.arange(1))
    white = white.replace(
        means=torch.tensor([[-1.0, -0.75, 5.0]]),
        log_scales=torch.full((1, 3), 0.3).log(),
        sh=torch.full((1, 1, 3), 1.7),
        logit_opacities=torch.tensor([5.0]),
    )
    both = type(gaussians)(**{k: torch.cat([v, vars(white)[k]]) for k, v in vars(gaussians).items()})
    target = tmp_path / "page.html"
    text = static_page(type(loaded)(**vars(loaded) | {"reconstruction": loaded.reconstruction.replace(gaussians=both)}))
    target.write_text(text, encoding="utf-8")
    assert target.stat().st_size < 2**21 and str(run_folders[0].parent) not in text
    page = browser.new_page(viewport={"width": 640, "height": 480})
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(target.as_uri())
    page.get_by_role("alert").get_by_role("button").first.click()
    visit = Visit(page, None, known_scene(), requests)
    middle = np.array([320, 240]) + 700 / 4 * np.array([-0.8, -0.6])
    wait_for(
        lambda: np.linalg.norm(place_of(visit.picture(), "red") - middle) < 8, "the red blob before the white splat"
    )
    keep_picture("static_page", page.screenshot())
    assert all(url.startswith(("file:", "blob:", "data:")) for url in requests)
    page.close()
