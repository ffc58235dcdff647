"""How many jobs there are that have not ended: read along the indexes of just those."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from service.database import Connection
from service.jobs.lifecycle import Status
from service.jobs.store.table import NOW

# Two parts, each with a condition that, with the view's, is that of a partial index: what has ended is not
# read, however much of it is stored.
_CENSUS = text(
    f"""
    SELECT status, model, count(*) AS jobs, min(created_at) AS oldest, {NOW} AS now FROM (
        SELECT status, model, created_at FROM open_jobs WHERE status = '{Status.ACCEPTED}'
        UNION ALL
        SELECT status, model, created_at FROM open_jobs
        WHERE token_id IS NOT NULL AND status <> '{Status.ACCEPTED}'
    ) AS open GROUP BY status, model
    """
)


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
