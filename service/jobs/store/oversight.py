"""What an operator reads: jobs of all tenants. Nothing that answers a caller comes here."""

from functools import cache
from uuid import UUID

from sqlalchemy import Text, select
from sqlalchemy.sql import column
from sqlalchemy.sql.selectable import TextualSelect

from service.database import Connection
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store.table import COLUMNS, JOBS, returning_jobs
from service.tenants.keys import MODES
from service.tenants.tenant import Tenant


async def newest(
    connection: Connection, *, tenant_id: UUID | None, statuses: frozenset[Status], limit: int
) -> list[tuple[str, Job]]:
    """The newest jobs of that tenant or of all, with the tenants' names; in any state or in these."""
    given = {"tenant": tenant_id, "modes": list(MODES), "limit": limit}
    rows = await connection.execute(_newest(statuses), given)
    return [(row.tenant, Job.of(row)) for row in rows]


async def owner(connection: Connection, job_id: UUID) -> Tenant | None:
    """Whose job it is."""
    row = (
        await connection.execute(select(JOBS.c.tenant_id, JOBS.c.mode).where(JOBS.c.id == job_id))
    ).one_or_none()
    return row and Tenant(id=row.tenant_id, mode=row.mode)


@cache
def _newest(statuses: frozenset[Status]) -> TextualSelect:
    """For each tenant the beginning of the index that lists its jobs, whatever is stored of them.

    Each status is a constant of a query of its own: of a column the planner would not know how rare it is,
    and would look for a rare one through all jobs.
    """
    wanted = [f"AND jobs.status = '{status}'" for status in sorted(statuses)] or [""]
    each = " UNION ALL ".join(
        f"""
        (SELECT * FROM jobs WHERE jobs.tenant_id = tenants.id AND jobs.mode = modes.mode {status}
           AND jobs.deleted_at IS NULL ORDER BY jobs.id DESC LIMIT :limit)
        """
        for status in wanted
    )
    return returning_jobs(
        f"""
        SELECT {COLUMNS}, tenants.name AS tenant FROM tenants
        CROSS JOIN unnest(CAST(:modes AS text[])) AS modes (mode)
        CROSS JOIN LATERAL ({each}) AS jobs
        WHERE CAST(:tenant AS uuid) IS NULL OR tenants.id = :tenant
        ORDER BY jobs.id DESC LIMIT :limit
        """,
        column("tenant", Text),
    )
