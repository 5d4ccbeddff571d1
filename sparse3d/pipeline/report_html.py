"""The frame of a page and its tables: escaped, and without paths of somebody's disk."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from sparse3d.pipeline.report_text import hide_paths


def fill_page(title: str, sections: Sequence[str]) -> str:
    """The whole page as HTML, which needs no other file and no network; empty sections are left out."""
    template = files("sparse3d.pipeline").joinpath("report_template.html").read_text(encoding="utf-8")
    head, _, tail = template.partition("{{body}}")
    return head.replace("{{title}}", text(title)) + "\n".join(filter(None, sections)) + tail


def text(words: object) -> str:
    """Words for a page."""
    return escape(hide_paths(str(words)))


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = ()) -> str:
    """A table; the columns whose indices are in `numbers` are aligned to the right."""

    def line(cells: Sequence[object], tag: str) -> str:
        marks = [' class="number"' if i in numbers else "" for i in range(len(cells))]
        return f"<tr>{''.join(f'<{tag}{m}>{text(c)}</{tag}>' for m, c in zip(marks, cells, strict=True))}</tr>"

    head = f"<thead>{line(header, 'th')}</thead>" if header else ""
    body = "".join(line(row, "td") for row in rows)
    return f'<div class="table"><table>{head}<tbody>{body}</tbody></table></div>'
