"""Settings: YAML deltas over nested dataclasses, with names and types checked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from sparse3d.core.errors import InputError
from sparse3d.io.config_yaml import apply_delta, load_delta, read_config, to_plain, write_config


@dataclass(frozen=True)
class Inner:
    rate: float = 1e-3
    kind: Literal["l1", "l2"] = "l1"
    sides: tuple[int, ...] = (8, 16)
    limit: float | None = None


@dataclass(frozen=True)
class Outer:
    steps: int = 100
    verbose: bool = False
    name: str = "x"
    out: Path = Path("a/b")
    range_m: tuple[float, float] = (0.1, 10.0)
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError("steps must not be negative")


def delta(tmp_path: Path, text: str) -> dict:
    (tmp_path / "c.yaml").write_text(text)
    return load_delta(tmp_path / "c.yaml")


def test_deltas_reach_nested_settings(tmp_path: Path) -> None:
    text = "steps: 5\ninner:\n  rate: 1e-4\n  kind: l2\n  sides: [1, 2, 3]\n  limit: 2\nrange_m: [1, 2]\n"
    config = apply_delta(Outer(), delta(tmp_path, text))
    assert config == Outer(steps=5, range_m=(1.0, 2.0), inner=Inner(1e-4, "l2", (1, 2, 3), 2.0))
    assert isinstance(config.range_m[0], float)
    assert apply_delta(Outer(), delta(tmp_path, "# nothing\n")) == Outer()


def test_everything_written_is_read_back(tmp_path: Path) -> None:
    config = Outer(steps=7, name="ü: #", inner=Inner(rate=1e-7, limit=0.5))
    write_config(tmp_path / "config.yaml", config)
    assert read_config(tmp_path / "config.yaml", Outer()) == config
    assert to_plain(config)["inner"]["sides"] == [8, 16]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz: 3", "unknown setting stepz; did you mean steps?"),
        ("inner: {rat: 3}", "unknown setting inner.rat; did you mean rate?"),
        ("qqq: 3", "there are steps, verbose"),
        ("steps: 3.5", "setting steps is 3.5, expected a whole number"),
        ("steps: true", "expected a whole number"),
        ("verbose: 1", "expected true or false"),
        ("inner: 3", "setting inner is a group of settings"),
        ("inner: {kind: l3}", "expected one of 'l1', 'l2'"),
        ("inner: {rate: fast}", "expected a number"),
        ("inner: {limit: x}", "expected a number or null"),
        ("range_m: [1]", "expected a list of a number, a number"),
        ("steps: -1", "steps must not be negative"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_config(tmp_path / "c.yaml", Outer())
    assert message in str(caught.value)
    assert "c.yaml" in str(caught.value)


def test_no_objects_come_out_of_yaml(tmp_path: Path) -> None:
    for text in ("a: !!python/object/apply:os.system ['true']", "{", "- 1", "1: 2", "[" * 10_000):
        with pytest.raises(InputError, match=r"c\.yaml"):
            delta(tmp_path, text)
    with pytest.raises(InputError, match="no such file"):
        load_delta(tmp_path / "none.yaml")
