"""The wish to cancel a job that the upstream has, and the deadline of one that still waits.

Whoever hears of a wish may ask the upstream: taking one moves it on by `ASKING_SECONDS`, so that one worker
asks at a time, and one whose asker died is asked again.
"""

from typing import Any

from sqlalchemy.sql.selectable import TextualSelect

from service.database import AnyConnection, Connection
from service.database.base import NOW
from service.jobs.job import Job
from service.jobs.lifecycle import AT_UPSTREAM, Status
from service.jobs.models import states
from service.jobs.store.table import COLUMNS, LEASE_RAN_OUT, encoded, returning_jobs

ASKING_SECONDS = 15

CANCEL_REQUESTED = "job.cancel_requested"
CANCEL_REFUSED = "job.cancel_refused"


def _noting(event: str, sets: str, *, where: str) -> TextualSelect:
    return returning_jobs(
        f"""
        WITH noted AS (
            UPDATE jobs SET sequence = sequence + 1, {sets} WHERE id = :id AND {where} RETURNING {COLUMNS}
        ), entry AS (
            INSERT INTO job_events (job_id, sequence, tenant_id, type, data)
            SELECT id, sequence, tenant_id, {event}, CAST(:data AS json) FROM noted
        )
        SELECT * FROM noted
        """
    )


_REQUEST = _noting(
    f"'{CANCEL_REQUESTED}'",
    f"cancel_requested_at = {NOW}, cancel_outcome = 'pending', cancel_due_at = clock_timestamp()",
    where=f"status IN ('{Status.SUBMITTING}', '{Status.IN_QUEUE}')"
    " AND cancel_outcome IS DISTINCT FROM 'pending'",
)
_REFUSE = _noting(
    f"'{CANCEL_REFUSED}'",
    "cancel_outcome = 'not_cancellable', cancel_due_at = NULL",
    where="cancel_outcome = 'pending'",
)
_NOTE = _noting(":event", "status = status", where="TRUE")

_TAKE_DUE = returning_jobs(
    f"""
    WITH due AS (
        SELECT id FROM jobs
        WHERE cancel_due_at <= (SELECT clock_timestamp())
          AND status IN ('{Status.ACCEPTED}', {states(AT_UPSTREAM)})
        ORDER BY cancel_due_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET cancel_due_at = clock_timestamp() + {ASKING_SECONDS} * interval '1 second'
    FROM due WHERE jobs.id = due.id
    RETURNING {COLUMNS}
    """
)
# The time is read once, in a subquery: compared with a volatile function the index would not be used.
_OVERDUE = returning_jobs(
    f"""
    SELECT {COLUMNS} FROM jobs
    WHERE status = '{Status.ACCEPTED}' AND expires_at <= (SELECT {NOW})
      AND {LEASE_RAN_OUT}
    ORDER BY expires_at LIMIT :most
    FOR UPDATE SKIP LOCKED
    """
)


async def request(connection: Connection, job: Job, *, now: Any) -> Job | None:
    """Record the wish; None if the job cannot have one any more, or has one already."""
    return await _one(connection, _REQUEST, {"id": job.id, "now": now, "data": "{}"})


async def refuse(connection: Connection, job: Job) -> Job | None:
    """The upstream says that it cannot be cancelled; the job goes on."""
    return await _one(connection, _REFUSE, {"id": job.id, "data": "{}"})


async def note(connection: Connection, job: Job, *, event: str, data: dict[str, Any]) -> Job | None:
    """Put on the timeline what changes no state, such as an answer that came after the end."""
    return await _one(connection, _NOTE, {"id": job.id, "event": event, "data": encoded(data)})


async def take_due(connection: AnyConnection, *, most: int) -> list[Job]:
    """Wishes that are to be brought to the upstream now."""
    rows = await connection.execute(_TAKE_DUE, {"most": most})
    return [Job.of(row) for row in rows]


async def lock_overdue(connection: Connection, *, most: int, now: Any) -> list[Job]:
    """Waiting jobs whose deadline is over, locked until the transaction ends."""
    rows = await connection.execute(_OVERDUE, {"most": most, "now": now})
    return [Job.of(row) for row in rows]


async def _one(connection: Connection, statement: TextualSelect, given: dict[str, Any]) -> Job | None:
    row = (await connection.execute(statement, given)).one_or_none()
    return None if row is None else Job.of(row)
