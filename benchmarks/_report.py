"""What a benchmark says: progress on standard error; a table and one line of JSON on standard output."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def part_ready(part: str, seconds: float) -> None:
    """For a Stack, to say what has started."""
    progress(f"  {part} in {seconds:.1f} s")


def tell(benchmark: str, rows: Sequence[Sequence[object]], figures: Mapping[str, object]) -> None:
    """Print the rows, the first of which is the heading, and the figures as JSON."""
    texts = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for first, *others in texts:
        cells = [first.ljust(widths[0]), *(map(str.rjust, others, widths[1:]))]
        print("  ".join(cells))
    machine = {"cpus": os.cpu_count(), "load_average": os.getloadavg()}
    print(json.dumps(_rounded({"benchmark": benchmark, **figures, **machine})))


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 3)
        case dict():
            return {key: _rounded(one) for key, one in value.items()}
        case list() | tuple():
            return [_rounded(one) for one in value]
        case _:
            return value
