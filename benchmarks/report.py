"""What the speed benchmarks share: tables with targets, results as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
WIDTH = 120
"""Characters in a line of a table, on a terminal or in a file."""


@dataclass(frozen=True)
class Target:
    """What a figure should be: at most, or at least, a value."""

    value: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.value:g}"

    def met(self, found: float) -> bool:
        return found >= self.value if self.at_least else found <= self.value


@dataclass(frozen=True)
class Line:
    """One row of a table of figures."""

    name: str
    value: float | None
    unit: str = ""
    target: Target | None = None


def write(path: Path, result: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")


def print_lines(title: str, lines: list[Line]) -> None:
    """A table of figures with their targets beside."""
    table = Table("figure", "found", "target", "", title=title, title_justify="left", box=None, pad_edge=False)
    for line in lines:
        if line.value is None:
            table.add_row(line.name, "not measured", str(line.target or ""), "")
            continue
        verdict = "" if line.target is None else ("met" if line.target.met(line.value) else "MISSED")
        table.add_row(line.name, f"{line.value:.3g} {line.unit}".strip(), str(line.target or ""), verdict)
    Console(highlight=False, width=WIDTH).print(table)


def print_timings(title: str, timings: dict[str, dict[str, float]]) -> None:
    """A table of medians, in ms."""
    columns = ("forward_wall_ms", "backward_wall_ms", "wall_ms", "wall_min_ms", "cpu_ms", "rounds")
    heads = ("", "forward", "backward", "both", "minimum", "processor", "rounds")
    table = Table(*heads, title=f"{title} (medians in ms)", title_justify="left", box=None, pad_edge=False)
    for name, row in timings.items():
        cells = [f"{row[c]:.0f}" if c == "rounds" else f"{row[c]:.2f}" for c in columns if c in row]
        table.add_row(name, *cells)
    Console(highlight=False, width=WIDTH).print(table)
