"""File names that come out of files: they must not lead anywhere else than where they belong."""

from pathlib import Path, PurePosixPath, PureWindowsPath

from sparse3d.core.errors import InputError


def safe_join(root: Path, relative: str, where: Path | str) -> Path:
    """`root / relative`, for a name that was read from a file or an archive.

    Args:
        where: what the name was read from, for the message.

    Raises:
        InputError: the name is absolute, has `..`, backslashes or a drive in it, or is empty.
    """
    parts = PurePosixPath(relative).parts
    windows = PureWindowsPath(relative)
    if (
        not parts
        or ".." in parts
        or any(character in relative for character in "\\\0")
        or PurePosixPath(relative).is_absolute()
        or windows.drive
    ):
        raise InputError(
            f"{where}: the file name {relative!r} leads out of its folder; it must be relative, without '..'"
        )
    return root / PurePosixPath(relative)
