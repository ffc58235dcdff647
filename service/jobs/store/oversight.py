"""What an operator reads: jobs of all tenants. Nothing that answers a caller comes here."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Text, select
from sqlalchemy.sql import column

from service.database import Connection
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store.table import COLUMNS, JOBS, returning_jobs
from service.tenants.keys import MODES
from service.tenants.tenant import Tenant

# For each tenant, mode and status the beginning of the index that lists them: what this costs depends on
# their number and not on that of the jobs.
_NEWEST = returning_jobs(
    f"""
    SELECT {COLUMNS}, tenants.name AS tenant FROM tenants
    CROSS JOIN unnest(CAST(:modes AS text[])) AS modes (mode)
    CROSS JOIN unnest(CAST(:statuses AS text[])) AS statuses (status)
    CROSS JOIN LATERAL (
        SELECT * FROM jobs
        WHERE jobs.tenant_id = tenants.id AND jobs.mode = modes.mode AND jobs.status = statuses.status
          AND jobs.deleted_at IS NULL
        ORDER BY jobs.id DESC LIMIT :limit
    ) AS jobs
    WHERE CAST(:tenant AS uuid) IS NULL OR tenants.id = :tenant
    ORDER BY jobs.id DESC LIMIT :limit
    """,
    column("tenant", Text),
)


async def newest(
    connection: Connection, *, tenant_id: UUID | None, statuses: Sequence[Status], limit: int
) -> list[tuple[str, Job]]:
    """The newest jobs in one of these states, of that tenant or of all, with the tenants' names."""
    given = {"tenant": tenant_id, "modes": list(MODES), "statuses": list(statuses), "limit": limit}
    return [(row.tenant, Job.of(row)) for row in await connection.execute(_NEWEST, given)]


async def owner(connection: Connection, job_id: UUID) -> Tenant | None:
    """Whose job it is."""
    row = (
        await connection.execute(select(JOBS.c.tenant_id, JOBS.c.mode).where(JOBS.c.id == job_id))
    ).one_or_none()
    return row and Tenant(id=row.tenant_id, mode=row.mode)
