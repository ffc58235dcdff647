"""Removing old jobs with all that hangs on them, a few at a time and in the order of their ids.

What they were is added to `usage_days` in the same transaction, so that usage never changes by it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.database.base import NOW
from service.database.locks import PRUNING
from service.jobs.store.accept import KEPT_SECONDS
from service.jobs.store.table import HAS_ENDED
from service.jobs.store.usage import DAY, UNCERTAIN

LOCK_SECONDS = 1
"""Whoever is in the way is waited for so long; then these jobs are left for the next time."""
LATE_SECONDS = 60 * 60
"""A key is kept so much longer than it counts: somebody may just be looking up what it stands for."""

_BEGIN_ALONE = text(f"SELECT pg_try_advisory_lock({PRUNING})")
_END_ALONE = text(f"SELECT pg_advisory_unlock({PRUNING})")

_NOW = text(f"SELECT {NOW}")
_IMPATIENT = text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
_IS_OLD = f"{HAS_ENDED} AND finished_at < :before"
_SCAN = text(
    f"SELECT id, {_IS_OLD} AS is_old FROM jobs WHERE id > :after AND id < :last ORDER BY id LIMIT :most"
)
# Whoever is at one of them right now is not waited for.
_LOCK = text(
    f"""
    SELECT id FROM jobs WHERE id = ANY (CAST(:ids AS uuid[])) AND {_IS_OLD}
    ORDER BY id FOR UPDATE SKIP LOCKED
    """
)
_ADD_UP = text(
    f"""
    INSERT INTO usage_days AS day (tenant_id, mode, day, model, status, jobs, cost_usd, uncertain)
    SELECT tenant_id, mode, {DAY}, model, status, count(*), coalesce(sum(cost_usd), 0),
           count(*) FILTER (WHERE {UNCERTAIN})
    FROM jobs WHERE id = ANY (CAST(:ids AS uuid[]))
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (tenant_id, mode, day, model, status) DO UPDATE
        SET jobs = day.jobs + excluded.jobs, cost_usd = day.cost_usd + excluded.cost_usd,
            uncertain = day.uncertain + excluded.uncertain
    """
)
_REMOVE = tuple(
    text(statement)
    for statement in (
        "DELETE FROM idempotency_keys WHERE job_id = ANY (CAST(:ids AS uuid[]))",
        "DELETE FROM job_labels WHERE job_id = ANY (CAST(:ids AS uuid[]))",
        "DELETE FROM job_events WHERE job_id = ANY (CAST(:ids AS uuid[]))",
        "UPDATE jobs SET retry_of = NULL WHERE retry_of = ANY (CAST(:ids AS uuid[]))",
        "DELETE FROM jobs WHERE id = ANY (CAST(:ids AS uuid[]))",
    )
)
# A key's job was made with it, so the ids of the jobs tell the ages of the keys.
_OLD_KEYS = f"""
    SELECT job_id FROM idempotency_keys
    WHERE job_id > :after AND job_id < :last
      AND created_at < CAST(:now AS timestamptz) - interval '{KEPT_SECONDS + LATE_SECONDS} seconds'
    ORDER BY job_id LIMIT :most
"""
_FIND_KEYS = text(_OLD_KEYS)
_REMOVE_KEYS = text(
    f"DELETE FROM idempotency_keys WHERE job_id IN ({_OLD_KEYS} FOR UPDATE SKIP LOCKED) RETURNING job_id"
)


async def begin_alone(connection: Connection) -> bool:
    """Whether nobody else is removing anything; nobody will, as long as this connection lives."""
    return bool((await connection.execute(_BEGIN_ALONE)).scalar_one())


async def end_alone(connection: Connection) -> None:
    """Let others do so."""
    await connection.execute(_END_ALONE)


async def time(connection: Connection, *, now: datetime | None) -> datetime:
    """What time it is: Postgres's, or a test's."""
    found: datetime = (await connection.execute(_NOW, {"now": now})).scalar_one()
    return found


async def scan(
    connection: Connection, *, after: UUID, last: UUID, before: datetime, most: int
) -> tuple[list[UUID], UUID | None]:
    """Of the next jobs those that ended `before`; and where to go on, if anywhere."""
    given = {"after": after, "last": last, "before": before, "most": most}
    rows = (await connection.execute(_SCAN, given)).all()
    return [row.id for row in rows if row.is_old], rows[-1].id if len(rows) == most else None


async def lock(connection: Connection, job_ids: Sequence[UUID], *, before: datetime) -> list[UUID]:
    """Those of them that ended `before` and that nobody else is at; nobody will be, in this transaction."""
    await connection.execute(_IMPATIENT)
    rows = await connection.execute(_LOCK, {"ids": list(job_ids), "before": before})
    return list(rows.scalars())


async def remove(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Add these locked jobs to what was used, and remove them; what was told of them is gone already."""
    for statement in (_ADD_UP, *_REMOVE):
        await connection.execute(statement, {"ids": list(job_ids)})


async def remove_keys(
    connection: Connection, *, after: UUID, last: UUID, now: datetime, most: int, is_dry: bool
) -> list[UUID]:
    """Remove the next idempotency keys that do not count any more; the ids of their jobs."""
    given: dict[str, Any] = {"after": after, "last": last, "now": now, "most": most}
    rows = await connection.execute(_FIND_KEYS if is_dry else _REMOVE_KEYS, given)
    return sorted(rows.scalars())
