"""results.jsonl: one line a job. A line is added as a job ends; the file is put in order when the bench ends."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse3d.core.errors import InputError
from sparse3d.io.atomic import atomic_write_text, clear_write_errors, make_folder

Record = dict[str, Any]

ORDER = ("dataset", "protocol", "scene", "views", "split", "poses", "method", "seed", "key")
"""Lines are sorted by these."""


@dataclass(frozen=True)
class ResultsFile:
    """The results of a bench; a later line of the same job replaces an earlier one."""

    path: Path

    def read(self) -> dict[str, Record]:
        """All results by their job's key; none where there is no file.

        A last line that was cut off by a kill or a full disk is passed over: its job is done again.

        Raises:
            InputError: another line is damaged.
        """
        if not self.path.is_file():
            return {}
        records: dict[str, Record] = {}
        lines = self.path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                record = json.loads(line)
                records[record["key"]] = record
            except (ValueError, KeyError, TypeError) as error:
                if number == len(lines):  # no line end behind it
                    continue
                raise InputError(
                    f"{self.path}: line {number} is damaged ({error}); remove it: its job is done again"
                ) from error
        return records

    def add(self, record: Record) -> None:
        """Add a line.

        Raises:
            InputError: the file cannot be written.
        """
        make_folder(self.path.parent)
        with clear_write_errors(self.path), self.path.open("ab+") as file:
            file.seek(0, 2)
            if file.tell():
                file.seek(-1, 2)
                torn = file.read(1) != b"\n"
                if torn:  # the rest of a line that a kill cut off must not swallow this one
                    file.truncate(self._end_of_whole_lines())
            file.write((_line(record) + "\n").encode())

    def sort(self) -> None:
        """Put the lines in order, whatever order the jobs ended in."""
        records = self.read()
        if not records:
            return
        ordered = sorted(records.values(), key=lambda r: tuple(r[name] for name in ORDER))
        atomic_write_text(self.path, "".join(_line(record) + "\n" for record in ordered))

    def _end_of_whole_lines(self) -> int:
        return self.path.read_bytes().rfind(b"\n") + 1


def _line(record: Record) -> str:
    return json.dumps(record, allow_nan=False, ensure_ascii=False)
