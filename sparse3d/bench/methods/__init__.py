"""The methods that a bench compares. Another is a function from the text behind its name to a `Method`, listed in `METHODS`."""

import re
from collections.abc import Callable

from sparse3d.bench.methods.colmap import colmap
from sparse3d.bench.methods.gsplat_trainer import gsplat
from sparse3d.bench.methods.interface import Method, Outcome
from sparse3d.bench.methods.opensplat import opensplat
from sparse3d.bench.methods.ours import ours
from sparse3d.bench.methods.plain import plain_3dgs, plain_dense
from sparse3d.bench.methods.ply import ply
from sparse3d.core.errors import InputError

__all__ = ["METHODS", "Method", "Outcome", "resolve_method"]

METHODS: dict[str, Callable[[str], Method]] = {
    "ours": ours,
    "plain-3dgs": plain_3dgs,
    "plain-dense": plain_dense,
    "colmap": colmap,
    "gsplat": gsplat,
    "opensplat": opensplat,
    "ply": ply,
}
"""By the first word of a specification; each gets the rest: "", ":WORD" or "@FILE"."""


def resolve_method(spec: str) -> Method:
    """The method that a specification such as `ours:fast`, `ours@no_depth.yaml` or `ply:results/theirs` means.

    Raises:
        InputError: there is no such method, or its argument makes no sense to it.
    """
    match = re.fullmatch(r"([\w-]+)([:@].+)?", spec)
    if match is None or match[1] not in METHODS:
        raise InputError(
            f"no method {spec!r}: there are {', '.join(METHODS)}, some with an argument (docs/benchmarks.md)"
        )
    return METHODS[match[1]](match[2] or "")
