"""Which photo of a run is which camera of the truth."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from sparse3d.core.errors import InputError


def match_names(run_names: Sequence[str], true_names: Sequence[str]) -> dict[str, str]:
    """Pair names of the run with names of the truth: equal as they are, else in the last part, else without extension.

    Returns:
        The truth's name for each name of the run that has one.

    Raises:
        InputError: a name fits several of the other side.
    """
    matches: dict[str, str] = {}
    for name in run_names:
        for key in (str, _basename, _stem):
            found = [true for true in true_names if key(true) == key(name)]
            if len(found) > 1:
                raise InputError(f"the photo {name} could be any of {', '.join(found)}: give them different file names")
            if found:
                matches[name] = found[0]
                break
    by_true: dict[str, str] = {}
    for name, true in matches.items():
        if true in by_true:
            raise InputError(
                f"the true camera {true} could be the photo {by_true[true]} or {name}: use equal file names"
            )
        by_true[true] = name
    return matches


def _basename(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def _stem(name: str) -> str:
    return PurePosixPath(_basename(name)).stem
