"""Why an accepted job waits, and how many of its tenant's own go first: found out when somebody looks.

Only why a submit was put back is stored, and it counts until the job is due again. What it waits for then
changes with every job that ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.clock import Clock
from service.database import Connection
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import waiting as store
from service.jobs.store.waiting import Standing
from service.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Line:
    """What accepted jobs stand in line for: `places` are how many the platform's account has."""

    places: int
    clock: Clock


async def explained(connection: Connection, tenant: Tenant, jobs: Sequence[Job], *, line: Line) -> list[Job]:
    """The same jobs, with what they wait for now."""
    if not any(job.status is Status.ACCEPTED for job in jobs):
        return list(jobs)
    standing = await store.standing(connection, tenant, places=line.places, now=line.clock())
    return [
        replace(job, waiting_for=reason(job, standing)) if job.status is Status.ACCEPTED else job
        for job in jobs
    ]


async def placed(connection: Connection, tenant: Tenant, job: Job, *, line: Line) -> Job:
    """The same job, with what it waits for now and with its place among the tenant's own."""
    [job] = await explained(connection, tenant, [job], line=line)
    if job.status is not Status.ACCEPTED:
        return job
    return replace(job, queue_position=await store.ahead(connection, tenant, job))


def reason(job: Job, standing: Standing) -> str | None:
    """What the accepted job waits for; None if a worker has it, or is about to."""
    if job.lease_until is not None and job.lease_until > standing.clock:
        return None
    if job.due_at > standing.now:
        return job.waiting_for
    if standing.is_account_in_trouble:
        return "upstream_account"
    if standing.is_tenant_full:
        return "tenant_limit"
    return "upstream_limit" if standing.is_upstream_full else None
