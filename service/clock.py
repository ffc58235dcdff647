"""Whose time counts.

Due times (a deadline, the next attempt) are compared in SQL with `coalesce(:now, clock_timestamp())`:
in production the clock says None, so that the one clock all machines share, Postgres's, decides;
a test puts a time of its own there. Leases always run on `clock_timestamp()`.
"""

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime | None]


def postgres_time() -> None:
    """Leave it to Postgres."""
    return
