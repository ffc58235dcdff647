"""How far the telling of a job's end has come, for those who look at the job."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from service.database import Connection
from service.tenants.tenant import Tenant
from service.webhooks.store.table import DELIVERIES, EVENTS


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the telling of a job's end has come."""

    url: str
    status: str
    attempts: int


async def of_jobs(connection: Connection, tenant: Tenant, urls: Mapping[UUID, str]) -> dict[UUID, Progress]:
    """How the end of each of these jobs is being told to that URL; for many in one query."""
    query = tenant.rows(EVENTS, EVENTS.c.job_id, DELIVERIES.c.url, DELIVERIES.c.status, DELIVERIES.c.attempts)
    query = query.join(DELIVERIES, DELIVERIES.c.event_id == EVENTS.c.id)
    rows = await connection.execute(query.where(EVENTS.c.is_end, EVENTS.c.job_id.in_(urls)))
    # The URL may be that of an endpoint, of which a job has more than one.
    return {job_id: Progress(url, *rest) for job_id, url, *rest in rows if url == urls[job_id]}
