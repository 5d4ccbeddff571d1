"""Entry point of the `sparse3d` command: parses, calls, and turns errors into messages and exit codes."""

import logging
import sys

import tyro

from sparse3d.cli.bench import bench
from sparse3d.cli.doctor import doctor
from sparse3d.cli.evaluate import evaluate
from sparse3d.cli.export import export
from sparse3d.cli.reconstruct import reconstruct
from sparse3d.cli.render import render
from sparse3d.cli.scenes import app as scenes
from sparse3d.cli.view import view
from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.kernels.library import KernelUnavailable

EXIT_BAD_INPUT = 2
EXIT_MISSING_DEPENDENCY = 3
EXIT_INTERRUPTED = 130

DESCRIPTION = "From a folder of 2 to 24 photos to cameras, 3D Gaussians, depth and an honest report."


def main(args: list[str] | None = None) -> None:
    """Run the command line; exits with 2 on bad input and 3 where something optional is not installed or there."""
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)  # what a stage logs below that goes to the run's log.txt
    logging.basicConfig(format="warning  %(message)s", handlers=[terminal])
    app = tyro.extras.SubcommandApp()
    for command in (reconstruct, render, evaluate, view, export, bench, doctor):
        app.command(command)
    app.command(scenes, name="scenes", help="List the sample scenes and the data sets of the literature, and get them.")
    try:
        app.cli(prog="sparse3d", description=DESCRIPTION, args=args)
    except InputError as error:
        _fail(str(error), EXIT_BAD_INPUT)
    except (MissingDependency, KernelUnavailable) as error:
        _fail(str(error), EXIT_MISSING_DEPENDENCY)
    except OSError as error:
        # What a reader or writer did not foresee: a folder without permissions, a name too long, a failing disk.
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}: check the path, its permissions and its disk", EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        _fail("interrupted", EXIT_INTERRUPTED)


def _fail(message: str, code: int) -> None:
    print(f"sparse3d: {message}", file=sys.stderr)
    sys.exit(code)
