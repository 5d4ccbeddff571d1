"""A headless Chromium, and a scene whose picture is known: red top left, green top right, blue bottom left."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sparse3d.core import se3
from sparse3d.core.cameras import Cameras, intrinsics_matrix
from sparse3d.core.gaussians import GaussianParams, colour_to_sh0
from sparse3d.core.reconstruction import Provenance, Reconstruction

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

BLOBS = {
    "red": ((-0.8, -0.6, 4.0), (0.9, 0.05, 0.05)),
    "green": ((0.8, -0.6, 4.0), (0.05, 0.8, 0.05)),
    "blue": ((-0.8, 0.6, 4.0), (0.05, 0.05, 0.9)),
}
"""Centre in the world, whose axes are the first camera's (x right, y down, z forward), and colour."""

PHOTO_SIZE = (640, 480)


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


def known_cameras(scale: float) -> Cameras:
    """The first looks along z from the origin; the second stands to the right, lower, turned left and rolled."""
    roll = se3.so3_exp(torch.tensor([0.0, 0.0, 0.35], dtype=torch.float64))
    turn = se3.so3_exp(torch.tensor([0.0, 0.45, 0.0], dtype=torch.float64))
    rotation = roll @ turn
    centre = torch.tensor([1.6, 0.3, 0.2], dtype=torch.float64)
    second = se3.compose(rotation, -rotation @ centre)
    cam_from_world = torch.stack([torch.eye(4, dtype=torch.float64), second])
    cam_from_world[:, :3, 3] *= scale
    width, height = PHOTO_SIZE
    intrinsics = intrinsics_matrix(700.0, 700.0, width / 2, height / 2).expand(2, 3, 3).clone()
    return Cameras.build(cam_from_world, intrinsics, [PHOTO_SIZE] * 2, names=["first.jpg", "second.jpg"])


@pytest.fixture(scope="session")
def known_scene() -> Callable[[float], Reconstruction]:
    """A function from the length of a unit to the scene, so that one scene can be in metres and in millimetres."""

    def build(scale: float = 1.0) -> Reconstruction:
        generator = torch.Generator().manual_seed(0)
        count = 600
        offsets = 0.09 * torch.randn(len(BLOBS), count, 3, generator=generator)
        means = (torch.tensor([centre for centre, _ in BLOBS.values()])[:, None] + offsets).reshape(-1, 3)
        colours = torch.tensor([colour for _, colour in BLOBS.values()]).repeat_interleave(count, 0)
        n = len(means)
        gaussians = GaussianParams(
            means=scale * means,
            quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
            log_scales=torch.full((n, 3), 0.03 * scale).log(),
            logit_opacities=torch.full((n,), 0.8).logit(),
            sh=colour_to_sh0(colours),
            confidence=torch.ones(n),
            observations=torch.full((n,), 2),
        )
        provenance = Provenance(
            prior="known",
            settings={},
            seed=0,
            versions={},
            warnings=("/home/somebody/photos/blurred.jpg is blurred & <b>dark</b>",),
            unplaced=(("third.jpg", "too few matches"),),
        )
        return Reconstruction(known_cameras(scale), gaussians, provenance)

    return build


@pytest.fixture(scope="session")
def thumbnails() -> dict[str, np.ndarray]:
    """Plain photos: the first magenta, the second yellow."""
    photos = {"first.jpg": (220, 0, 220), "second.jpg": (230, 200, 0)}
    return {name: np.full((120, 160, 3), colour, np.uint8) for name, colour in photos.items()}


@pytest.fixture(scope="session")
def keep_picture() -> Callable[[str, bytes], None]:
    """Store a screenshot under SPARSE3D_SCREENSHOTS, where that is set, for people to look at."""

    def keep(name: str, png: bytes) -> None:
        folder = os.environ.get("SPARSE3D_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.png").write_bytes(png)

    return keep
