"""What is printed: coloured in a terminal, plain elsewhere or with NO_COLOR, and never broken into lines.

Names and messages come from outside, so nothing printed is read as markup.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
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
    """A table without lines around it, so that it can be cut and searched."""
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    out.print(table)


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
