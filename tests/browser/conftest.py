"""A headless Chromium, and a page that shows a scene whose picture is known."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from sparse3d.core.reconstruction import Reconstruction

from .run_folders import known_scene, write_known_run

CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """Chromium or Chrome: from SPARSE3D_CHROMIUM, or on the PATH."""
    named = os.environ.get("SPARSE3D_CHROMIUM")
    if named:
        return named
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A running headless Chromium; tests that ask for it are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium found: install it, or name it in SPARSE3D_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS, timeout=60_000)
        yield running
        running.close()


@pytest.fixture(scope="session", name="known_scene")
def _known_scene() -> Callable[[], Reconstruction]:
    """Makes the known scene."""
    return known_scene


@pytest.fixture(scope="session")
def run_folders(tmp_path_factory) -> tuple[Path, Path]:
    """The known run, and one in millimetres whose green blob is missing."""
    folder = tmp_path_factory.mktemp("runs")
    first = write_known_run(folder / "known", known_scene())
    scene = known_scene(1000.0)
    count = len(scene.gaussians) // 3
    kept = torch.cat([torch.arange(count), torch.arange(2 * count, 3 * count)])
    second = scene.replace(gaussians=scene.gaussians.select(kept))
    run = write_known_run(folder / "millimetres", second, 1000.0, layers=False)
    return first, run


@pytest.fixture(scope="session")
def visit(browser, run_folders) -> Iterator:
    """The page of both runs; every test leaves it as the first view of the first run."""
    pytest.importorskip("viser", reason="viser is not installed")
    from sparse3d_viewer import serve

    from .pages import open_page

    with open_page(browser, serve(*run_folders), known_scene()) as opened:
        yield opened


@pytest.fixture(scope="session")
def keep_picture() -> Callable[[str, bytes], None]:
    """Store a screenshot under SPARSE3D_SCREENSHOTS, where that is set, for people to look at."""

    def keep(name: str, png: bytes) -> None:
        folder = os.environ.get("SPARSE3D_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.png").write_bytes(png)

    return keep
