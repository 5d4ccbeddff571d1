"""The page in the browser where reconstructions are walked through: `serve` run folders or `open_viewer` on data.

It imports `sparse3d` and is never imported by it, save lazily by the command line.
"""

from sparse3d_viewer.app import ViewerHandle, open_viewer, serve

__all__ = ["ViewerHandle", "open_viewer", "serve"]
