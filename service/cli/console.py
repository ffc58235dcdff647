"""What is printed: coloured in a terminal, plain elsewhere or with NO_COLOR, and never broken into lines.

Names and messages come from outside, so nothing printed is read as markup.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

# Wider than anything printed: a terminal breaks long lines itself, and what is copied stays whole.
WIDTH = 10_000

out = Console(width=WIDTH, soft_wrap=True, highlight=False, emoji=False, markup=False)
err = Console(width=WIDTH, soft_wrap=True, highlight=False, emoji=False, markup=False, stderr=True)


def fail(message: str) -> None:
    """Say on standard error what went wrong."""
    err.print(Text.assemble(("error: ", "bold red"), message))


def as_json(value: object) -> None:
    """One line for machines."""
    out.print(json.dumps(value, ensure_ascii=False, default=str))


def facts(title: str, values: Mapping[str, object], *, note: str = "") -> None:
    """A sentence, what belongs to it below, and what to mind."""
    out.print(title, style="bold")
    width = max(map(len, values))
    for name, value in values.items():
        out.print(Text.assemble("  ", (name.ljust(width), "dim"), "  ", str(value)))
    if note:
        out.print(note, style="yellow")


def listing(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table without lines around it, so that it can be cut and searched; without columns, without a head.

    The last column is not padded: a terminal would break lines that end in nothing but blanks.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    head = [[Text(name, style="bold") for name in columns]] if columns else []
    widths = [max(cell.cell_len for cell in column) for column in zip(*head, *cells, strict=True)]
    for line in (*head, *cells):
        for cell, width in zip(line[:-1], widths, strict=False):
            cell.pad_right(width - cell.cell_len)
        out.print(Text("  ").join(line))


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: object) -> Text:
    return value.copy() if isinstance(value, Text) else Text("" if value is None else str(value))
