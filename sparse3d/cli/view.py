"""`sparse3d view`."""

from pathlib import Path

import tyro


def view(run: tyro.conf.Positional[Path], *, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Show a run in the browser: splats, cameras with their photos; click a camera to look through it.

    Args:
        run: a folder that `sparse3d reconstruct` wrote.
        host: address to listen on. The default is reached from this machine alone; 0.0.0.0 lets everybody on the network in.
        port: to listen on.
    """
    from sparse3d.core.errors import MissingDependency

    try:
        import sparse3d_viewer
    except ImportError as error:
        raise MissingDependency("the viewer needs viser: pip install 'sparse3d[viewer]'") from error

    sparse3d_viewer.serve(run, host=host, port=port).wait()
