"""What callers can look at: one job, a page of them, a job's timeline. Another tenant's job is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service.database import Connection, Database
from service.errors import NotFoundError
from service.jobs import waiting
from service.jobs.filter import Filter
from service.jobs.job import Job
from service.jobs.store import lists, reads
from service.jobs.store.reads import Entry
from service.jobs.waiting import Line
from service.tenants.tenant import Tenant
from service.webhooks.store import Progress, of_jobs


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs with what became of their webhooks, and whether there are older ones."""

    jobs: list[Job]
    deliveries: Mapping[UUID, Progress]
    has_more: bool


async def one(
    database: Database, tenant: Tenant, job_id: UUID, *, line: Line | None = None
) -> tuple[Job, Progress | None]:
    """The job and what became of its webhook; raises NotFoundError. With `line`, also its place in that."""
    async with database.of_tenant(tenant.id) as connection:
        job = await found(connection, tenant, job_id)
        if line is not None:
            job = await waiting.placed(connection, tenant, job, line=line)
        return job, (await _deliveries(connection, tenant, [job])).get(job_id)


async def several(
    database: Database, tenant: Tenant, job_ids: Sequence[UUID]
) -> dict[UUID, tuple[Job, Progress | None]]:
    """The same for those of these jobs that are there and were not deleted."""
    async with database.of_tenant(tenant.id) as connection:
        jobs = [job for job in await reads.several(connection, tenant, job_ids) if job.deleted_at is None]
        deliveries = await _deliveries(connection, tenant, jobs)
        return {job.id: (job, deliveries.get(job.id)) for job in jobs}


async def page(
    database: Database, tenant: Tenant, wanted: Filter, *, before: UUID | None, limit: int, line: Line
) -> Page:
    """At most `limit` of the jobs that are wanted, newest first, older than `before`."""
    async with database.of_tenant_at_length(tenant.id) as connection:
        # One more than is shown tells whether there are more.
        jobs = await lists.page(connection, tenant, wanted, before=before, limit=limit + 1)
        shown = await waiting.explained(connection, tenant, jobs[:limit], line=line)
        return Page(shown, await _deliveries(connection, tenant, shown), has_more=len(jobs) > limit)


async def timeline(database: Database, tenant: Tenant, job_id: UUID) -> list[Entry]:
    """What happened to the job, oldest first; raises NotFoundError."""
    async with database.of_tenant(tenant.id) as connection:
        # Entries carry no mode: that the job can be seen at all is what its row says.
        await found(connection, tenant, job_id)
        return await reads.timeline(connection, tenant, job_id)


async def found(connection: Connection, tenant: Tenant, job_id: UUID, *, lock: bool = False) -> Job:
    """The tenant's job, locked until the transaction ends if that is asked for; raises NotFoundError."""
    job = await reads.find(connection, tenant, job_id, lock=lock)
    if job is None:
        raise NotFoundError(f"There is no job {job_id}.")
    if job.deleted_at is not None:
        raise NotFoundError(f"The job {job_id} was deleted.")
    return job


async def _deliveries(connection: Connection, tenant: Tenant, jobs: list[Job]) -> Mapping[UUID, Progress]:
    """Only an ended job with a URL of its own can have one, so that most reads need no second statement."""
    told = {job.id: job.callback_url for job in jobs if job.has_ended and job.callback_url is not None}
    return await of_jobs(connection, tenant, told) if told else {}
