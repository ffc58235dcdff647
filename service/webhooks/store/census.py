"""How many deliveries there are that have not ended, and how many receivers are left alone."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from service.database import Connection
from service.database.base import NOW

MOST_COUNTED = 100_000
"""Of each: more than this is the same alarm."""


def _count(status: str) -> str:
    return (
        f"(SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE status = '{status}'"
        f" LIMIT {MOST_COUNTED}) AS {status})"
    )


_CENSUS = text(
    f"""
    SELECT {_count("pending")}, {_count("held")},
           (SELECT count(*) FROM webhook_lanes WHERE open_until > {NOW})
    """
)


@dataclass(frozen=True, slots=True)
class Census:
    """Deliveries by what they wait for, and lanes whose breaker is open."""

    pending: int
    held: int
    lanes_open: int


async def census(connection: Connection, *, now: datetime | None = None) -> Census:
    """As of now."""
    return Census(*(await connection.execute(_CENSUS, {"now": now})).one())
