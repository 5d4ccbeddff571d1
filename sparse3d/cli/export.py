"""`sparse3d export`."""

from pathlib import Path
from typing import Literal

import tyro


def export(run: tyro.conf.Positional[Path], *, format: Literal["html"] = "html", out: Path | None = None) -> None:
    """Write a run as something to send to others.

    Args:
        run: a folder that `sparse3d reconstruct` wrote, which holds the PLY and the COLMAP model anyway.
        format: html: one page with the scene inside, which any browser opens from the disk, without a server or network.
        out: file to write; RUN.html beside the run folder where it is left out.
    """
    from sparse3d.core.errors import InputError
    from sparse3d.io.atomic import atomic_write_text
    from sparse3d_viewer.run import load_run
    from sparse3d_viewer.static_page import static_page

    target = out or run.resolve().with_suffix(f".{format}")
    if target.is_dir():
        raise InputError(f"{target}: is a folder; give a file for --out")
    atomic_write_text(target, static_page(load_run(run)))
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MB")
