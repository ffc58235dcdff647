"""Whose time counts.

Due times (a deadline, the next attempt) are compared in SQL with `coalesce(:now, clock_timestamp())`:
in production the clock says None, so that the one clock all machines share, Postgres's, decides;
a test puts a time of its own there. Leases always run on `clock_timestamp()`.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import overload

Clock = Callable[[], datetime | None]

# RFC 3339, 5.6. Python's own reader also takes other forms of ISO 8601.
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def postgres_time() -> None:
    """Leave it to Postgres."""
    return


@overload
def moment(at: datetime) -> str: ...
@overload
def moment(at: datetime | None) -> str | None: ...
def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, always with microseconds, so that times also sort as text."""
    if at is None:
        return None
    at = at if at.tzinfo is UTC else at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")[:-6] + "Z"


def read_moment(text: str) -> datetime | None:
    """The time that is written like this (RFC 3339), in UTC; None for other forms."""
    if not _WRITTEN.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
