"""How many jobs there are that have not ended, whoever's they are: the API, too, may know that much."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from service.database import Connection
from service.database.base import NOW
from service.jobs.lifecycle import Status

# The function reads two parts, each with a condition that is word by word that of a partial index: what has
# ended is not read, however much of it is stored.
_CENSUS = text(f"SELECT status, model, jobs, oldest, {NOW} AS now FROM jobs_census()")


@dataclass(frozen=True, slots=True)
class Count:
    """Jobs of one model in one state; `oldest` is in seconds since it was accepted."""

    status: Status
    model: str
    jobs: int
    oldest: float


async def census(connection: Connection, *, now: datetime | None = None) -> list[Count]:
    """All jobs that have not ended, counted."""
    rows = await connection.execute(_CENSUS, {"now": now})
    return [
        Count(Status(row.status), row.model, row.jobs, max(0.0, (row.now - row.oldest).total_seconds()))
        for row in rows
    ]
