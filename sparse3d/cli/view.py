"""`sparse3d view`."""

from pathlib import Path
from typing import Annotated

import tyro


def view(
    run: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]],
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
) -> None:
    """Show runs in the browser: splats and cameras with their photos, layers, measuring, films; see docs/viewer.md.

    Args:
        run: folders that `sparse3d reconstruct` wrote; several are shown from the same place, in turn or beside one another.
        host: address to listen on. The default is reached from this machine alone; 0.0.0.0 lets everybody on the network in.
        port: to listen on.
    """
    from sparse3d.core.errors import InputError

    if not run:
        raise InputError("no run to show: give a folder that `sparse3d reconstruct` wrote")
    check_address(host, port)
    import sparse3d_viewer  # without viser this raises MissingDependency, which names the remedy

    handle = sparse3d_viewer.serve(*run, host=host, port=port)
    print(f"The page: {handle.url}  (Ctrl-C stops it)", flush=True)
    handle.wait()


def check_address(host: str, port: int) -> None:
    """Refuse what cannot be listened on; a port that is taken is fine, the viewer takes the next one."""
    import errno
    import socket

    from sparse3d.core.errors import InputError

    if not 0 <= port <= 65535:
        raise InputError(f"--port is {port}, expected 0 (any free one) to 65535")
    try:
        [(family, kind, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise InputError(
                f"--host {host} --port {port}: cannot be listened on ({error.strerror}): leave --host out, or give an "
                "address of this machine and a port from 1024 on"
            ) from error
