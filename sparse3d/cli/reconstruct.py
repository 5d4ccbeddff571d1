"""`sparse3d reconstruct`."""

from pathlib import Path
from typing import Annotated

import tyro


def reconstruct(
    photos: tyro.conf.Positional[Path],
    *,
    out: Path,
    cameras: Path | None = None,
    preset: str = "default",
    images: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = (),
    config: Path | None = None,
    seed: int | None = None,
    threads: int | None = None,
    free_poses: bool = False,
    free_intrinsics: bool = False,
    view: bool = False,
    port: int = 8080,
) -> None:
    """Turn a folder of photos into cameras, 3D Gaussians, depth and a report.

    Args:
        photos: folder of 2 to 24 photos (JPEG, PNG, TIFF, WebP, HEIC with the extra `heic`); an optional `masks` folder
            in it holds one image a photo whose black pixels are left out.
        out: the run folder to write. A run that is there already goes on where it stopped.
        cameras: known cameras, all or part of them: a COLMAP model, transforms.json, poses_bounds.npy or cameras.json.
            What is known stays fixed.
        preset: default, fast, or s and xl, which make 200 and 1000 steps however many photos there are.
        images: use these photos of the folder only.
        config: YAML file with settings that differ from the preset's (the run's own config.yaml shows all there are).
        seed: of every random choice.
        threads: of the native kernels; the default takes all cores.
        free_poses: known poses are a starting point only and are refined.
        free_intrinsics: known focal lengths are a starting point only and are refined.
        view: show the scene in the browser while it is being made, with buttons to pause and to stop, and afterwards.
        port: of that page, which this machine alone can reach.
    """
    import dataclasses
    import signal

    from sparse3d.cli.console import Console
    from sparse3d.cli.live import live_page
    from sparse3d.io.coverage_json import read_coverage
    from sparse3d.io.run_folder import RunFolder
    from sparse3d.pipeline.config import load_config
    from sparse3d.pipeline.reconstruct import reconstruct as run

    settings = load_config(preset, overrides=config, seed=seed, threads=threads)
    if free_poses or free_intrinsics:
        camera = dataclasses.replace(
            settings.camera,
            free_known_poses=free_poses or settings.camera.free_known_poses,
            free_known_intrinsics=free_intrinsics or settings.camera.free_known_intrinsics,
        )
        settings = dataclasses.replace(settings, camera=camera)
    # A polite kill is Ctrl-C: what is done is kept. COLMAP's handler, set on import, would print a stack trace instead.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with live_page(view, port, out.resolve().name) as page:
            if page is not None and cameras is not None and images:
                page.hold_out(photos, cameras, images)
            with Console() as console:
                listener = console if page is None else page.beside(console)
                run(photos, out, known=cameras, names=images or None, config=settings, listener=listener)
            console.say(f"\nDone: {out / 'report.html'} tells how it went; `sparse3d view {out}` shows it.")
            found = RunFolder.open(out).coverage
            for place in read_coverage(found).next_photos[:1] if found.exists() else ():
                console.say(f"Next photo: {place.text} (removes about {100 * place.gain:.0f} % of the expected error).")
            if page is not None:
                page.show_result(out)
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
