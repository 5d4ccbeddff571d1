"""Settings as plain YAML over frozen dataclasses: no class names in the file, every key and type checked."""

import dataclasses
import difflib
import enum
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from sparse3d.core.errors import InputError
from sparse3d.io.atomic import atomic_write_text

MAX_BYTES = 2**20

T = TypeVar("T")


def load_delta(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings to change; an empty file changes nothing.

    Raises:
        InputError: missing, too large, no valid YAML, or not a mapping of names to values.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: is too large for a file of settings; is it the right file?")
    try:
        delta = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid YAML ({' '.join(str(error).split())[:200]})") from error
    if delta is None:
        return {}
    if not isinstance(delta, dict) or not all(isinstance(key, str) for key in delta):
        raise InputError(f"{path}: must hold settings as 'name: value' lines")
    return delta


def apply_delta(config: T, delta: dict[str, Any], *, where: str = "") -> T:
    """A copy of a (nested, frozen) dataclass with some settings changed.

    Args:
        delta: values by name; a mapping for a nested dataclass.
        where: dotted path of `config` within the whole, for messages.

    Raises:
        InputError: an unknown name (the message gives the nearest) or a value of a wrong type.
    """
    hints = typing.get_type_hints(type(config))
    known = [field.name for field in dataclasses.fields(config) if field.init]  # pyright: ignore[reportArgumentType]
    changes = {}
    for name, value in delta.items():
        if name not in known:
            raise InputError(f"unknown setting {where}{name}; {_nearest(name, known)}")
        old = getattr(config, name)
        if dataclasses.is_dataclass(old) and not isinstance(old, type):
            if not isinstance(value, dict):
                raise InputError(f"setting {where}{name} is a group of settings, got {value!r}")
            changes[name] = apply_delta(old, value, where=f"{where}{name}.")
        else:
            changes[name] = _converted(value, hints[name], f"{where}{name}")
    try:
        return dataclasses.replace(config, **changes)  # pyright: ignore[reportArgumentType]
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"settings {where or ''}{', '.join(changes)}: {error}") from error


def to_plain(config: Any) -> Any:
    """Settings as what YAML and JSON hold: dicts, lists, numbers, strings, booleans, None.

    Raises:
        TypeError: a value has no plain form.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: to_plain(getattr(config, field.name)) for field in dataclasses.fields(config) if field.init}
    if isinstance(config, enum.Enum):
        return config.value
    if isinstance(config, Path):
        return str(config)
    if isinstance(config, dict):
        return {str(key): to_plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [to_plain(value) for value in config]
    if config is None or isinstance(config, bool | int | float | str):
        return config
    raise TypeError(f"{type(config).__name__} has no plain form for YAML")


def write_config(path: Path, config: Any) -> None:
    """Write all settings as YAML, which `load_delta` reads.

    Raises:
        InputError: the file cannot be written.
    """
    atomic_write_text(Path(path), yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True))


def read_config(path: Path, default: T) -> T:
    """Settings of a file over those of `default`.

    Raises:
        InputError: as in `load_delta` and `apply_delta`; the message begins with the file.
    """
    try:
        return apply_delta(default, load_delta(path))
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from error


def _converted(value: Any, hint: Any, name: str) -> Any:
    """The value in the type of the field, or an InputError."""
    fits, converted = _try_convert(value, hint)
    if not fits:
        raise InputError(f"setting {name} is {value!r}, expected {_describe(hint)}")
    return converted


def _try_convert(value: Any, hint: Any) -> tuple[bool, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True, value
    if origin is Literal:
        return value in arguments and type(value) in {type(a) for a in arguments}, value
    if origin in (Union, types.UnionType):
        tried = [_try_convert(value, argument) for argument in arguments]
        return next(((True, converted) for fits, converted in tried if fits), (False, None))
    if origin in (tuple, list):
        return _try_sequence(value, origin, arguments)
    if origin is dict or hint is dict:
        return isinstance(value, dict), value
    return _try_scalar(value, hint)


def _try_sequence(value: Any, origin: Any, arguments: tuple) -> tuple[bool, Any]:
    if not isinstance(value, list | tuple):
        return False, None
    any_length = origin is list or (len(arguments) == 2 and arguments[1] is Ellipsis)
    hints = [arguments[0]] * len(value) if any_length else list(arguments)
    if len(hints) != len(value):
        return False, None
    tried = [_try_convert(entry, hint) for entry, hint in zip(value, hints, strict=True)]
    return all(fits for fits, _ in tried), origin(converted for _, converted in tried)


def _try_scalar(value: Any, hint: Any) -> tuple[bool, Any]:
    if hint is None or hint is type(None):
        return value is None, None
    if hint is float:
        # YAML 1.1 takes 1e-3 for a string: only 1.0e-3 is a number to it.
        if isinstance(value, str):
            try:
                return True, float(value)
            except ValueError:
                return False, None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number, float(value) if is_number else None
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    if hint is Path:
        return isinstance(value, str), Path(value) if isinstance(value, str) else None
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        fits = any(value == member.value for member in hint)
        return fits, hint(value) if fits else None
    return isinstance(hint, type) and isinstance(value, hint), value


def _describe(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(a) for a in arguments)
    if origin in (tuple, list):
        return "a list of " + ", ".join("..." if a is Ellipsis else _describe(a) for a in arguments)
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
