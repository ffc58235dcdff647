"""What an operator on call sees and does: any tenant's job, by the same use cases that its tenant has."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service.database import Database
from service.errors import NotFoundError
from service.jobs import waiting
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import oversight, reads
from service.jobs.store.reads import Entry
from service.jobs.waiting import Line
from service.tenants import store as tenants
from service.tenants.tenant import Tenant
from service.webhooks import log
from service.webhooks.log import Delivery, Tried


@dataclass(frozen=True, slots=True)
class Case:
    """All there is to know of one job."""

    tenant: str
    job: Job
    timeline: list[Entry]
    deliveries: list[tuple[Delivery, list[Tried]]]


async def newest(
    database: Database, *, tenant: str | None, statuses: Sequence[Status], limit: int
) -> list[tuple[str, Job]]:
    """The newest jobs with their tenants' names. `tenant` is a name or an id; raises NotFoundError."""
    async with database.transaction() as connection:
        tenant_id = None if tenant is None else (await tenants.find(connection, tenant)).id
        return await oversight.newest(
            connection, tenant_id=tenant_id, statuses=frozenset(statuses), limit=limit
        )


async def owner(database: Database, job_id: UUID) -> Tenant:
    """Whose job it is; raises NotFoundError."""
    async with database.statement() as connection:
        found = await oversight.owner(connection, job_id)
    if found is None:
        raise NotFoundError(f"There is no job {job_id}.")
    return found


async def case(database: Database, job_id: UUID, *, line: Line) -> Case:
    """The whole story of a job, also of what is left of one that was deleted; raises NotFoundError."""
    tenant = await owner(database, job_id)
    async with database.transaction() as connection:
        job = await reads.find(connection, tenant, job_id)
        assert job is not None, "no row of a job is ever removed while somebody looks"
        return Case(
            tenant=(await tenants.find(connection, str(tenant.id))).name,
            job=await waiting.placed(connection, tenant, job, line=line),
            timeline=await reads.timeline(connection, tenant, job_id),
            deliveries=await log.of_job(connection, tenant, job_id),
        )
