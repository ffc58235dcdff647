"""Making a tombstone of a job's row; a CHECK constraint sees to it that nothing is left on it."""

from typing import Any

from sqlalchemy import text

from service.database import Connection
from service.database.base import NOW
from service.jobs.job import Job
from service.jobs.store.table import HAS_ENDED

_BURY = text(
    f"""
    WITH entries AS (
        UPDATE job_events SET data = '{{}}' WHERE job_id = :id
    ), labels AS (
        DELETE FROM job_labels WHERE job_id = :id
    )
    UPDATE jobs
    SET deleted_at = {NOW}, input = '{{}}', warnings = '[]', metadata = '{{}}', external_id = NULL,
        callback_url = NULL, output = NULL, error = NULL
    WHERE id = :id AND {HAS_ENDED}
    """
)


async def bury(connection: Connection, job: Job, *, now: Any) -> None:
    """Keep only that there was this ended job; the timeline says what happened, and nothing of why."""
    await connection.execute(_BURY, {"id": job.id, "now": now})
