"""Words and numbers as a reader wants them: short, escaped, and without paths of somebody's disk."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATH = re.compile(r"(?<![\w/.:<])(?:~|\.{1,2}|[A-Za-z]:)?(?:[/\\][^\s/\\:;,'\"<>|()]+)+[/\\]?")
"""Absolute and home-relative paths, on any system; not URLs, not fractions such as 3/4, not HTML's closing tags."""


def hide_paths(text: str) -> str:
    """Replace every path in a text by its last part: a report is passed on, a user's folders are nobody's business.

    The user's own folders are cut off first, since their names may hold spaces, where a path seems to end.
    """
    for folder in (str(Path.cwd()), str(Path("~").expanduser())):
        if len(folder) > 1:
            text = text.replace(folder + "/", "/").replace(folder + "\\", "\\")
    return _PATH.sub(lambda match: re.split(r"[/\\]", match.group().rstrip("/\\"))[-1], text)


def describe_number(value: object) -> str:
    """A value in a few characters: numbers with about four digits, None and NaN as "not measured"."""
    if value is None:
        return "not measured"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if value != value:
        return "not measured"
    if isinstance(value, int) or value in (float("inf"), float("-inf")):
        return f"{value:,}"
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    digits = 2 if abs(value) >= 10 else 3 if abs(value) >= 1 else 4
    return f"{value:,.{digits}f}"


def describe_seconds(seconds: float) -> str:
    """A duration: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


_ACRONYMS = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "ate": "ATE", "rpe": "RPE", "auc": "AUC", "sh": "SH"}
_UNITS = {"db": "dB", "deg": "°", "px": "px", "s": "s"}


def spell_key(key: str) -> str:
    """A key of a settings or metrics file as words: "held_out psnr_db" becomes "held out PSNR (dB)"."""
    words = key.replace("_", " ").split()
    unit = ""
    if len(words) > 1 and words[-1].lower() in _UNITS:
        unit = f" ({_UNITS[words.pop().lower()]})"
    return " ".join(_ACRONYMS.get(word.lower(), word) for word in words) + unit


def flatten(values: Mapping[str, object], *, depth: int = 2, separator: str = " ") -> list[tuple[str, str]]:
    """(name, value in words) of nested plain values, down to a depth; a nested one has its parents' names in front.

    Sequences are written out where they are short and plain; what lies deeper is left out.
    """
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            inner = flatten(value, depth=depth - 1, separator=separator) if depth > 1 else []
            rows += [(f"{name}{separator}{key}", words) for key, words in inner]
        elif isinstance(value, (list, tuple)):
            if len(value) <= 8 and not any(isinstance(entry, (Mapping, list, tuple)) for entry in value):
                rows.append((str(name), ", ".join(describe_number(entry) for entry in value)))
        else:
            rows.append((str(name), describe_number(value)))
    return rows


def untold_unplaced(warnings: Sequence[str], unplaced: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The (photo name, reason) that no warning tells already."""
    return [(name, why) for name, why in unplaced if not any(name in told and why in told for told in warnings)]
