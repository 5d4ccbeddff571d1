"""viser, or a sentence that says how to get it. Everything else in this package takes it from here."""

from sparse3d.core.errors import MissingDependency

try:
    import viser
except ImportError as error:
    raise MissingDependency(
        "the viewer needs the Python package viser, which is not installed: pip install 'sparse3d[viewer]'"
    ) from error

__all__ = ["viser"]
