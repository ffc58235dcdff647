"""A job is asked for once more: the same request, as a new job that names the old one.

A job has at most one retry, which Postgres sees to; whoever asks again, or second, is answered with that one.
"""

from uuid import UUID

from asyncpg import ForeignKeyViolationError

from service.bell import Bell
from service.clock import Clock
from service.database import Database
from service.errors import NotFoundError, NotRetryableError
from service.jobs import reading
from service.jobs.accept import Acceptance, accept_unless_there
from service.jobs.job import Job
from service.jobs.lifecycle import ENDS, Status
from service.jobs.models import PRIORITIES
from service.jobs.request import Request
from service.jobs.store import reads
from service.tenants.tenant import Tenant

RETRYABLE = ENDS - {Status.COMPLETED}


async def retry(database: Database, tenant: Tenant, job_id: UUID, *, bell: Bell, clock: Clock) -> Acceptance:
    """The job's one retry, made now or before.

    Raises NotFoundError, also if the retry was deleted, and NotRetryableError unless the job has ended
    without an output. Its end is for ever, so no lock is needed between looking and accepting.
    """
    async with database.of_tenant(tenant.id) as connection:
        job = await reading.found(connection, tenant, job_id)
    if job.status not in RETRYABLE:
        raise NotRetryableError(
            f"Only a job that failed, expired or was cancelled can be retried: it is {job.status}."
        )
    try:
        new = await accept_unless_there(
            database, tenant, _request(job), retry_of=job.id, bell=bell, clock=clock
        )
    except ForeignKeyViolationError:
        # It was so old that it has been removed since we looked.
        raise NotFoundError(f"There is no job {job_id}.") from None
    if new is not None:
        return Acceptance(new, delivery=None, is_new=True)
    before = await retried_before(database, tenant, job.id)
    assert before is not None, "a job has a retry, or can be retried"
    return before


async def retried_before(database: Database, tenant: Tenant, job_id: UUID) -> Acceptance | None:
    """The retry that the job has; None if it has none. Raises NotFoundError, also if that was deleted."""
    async with database.of_tenant(tenant.id) as connection:
        await reading.found(connection, tenant, job_id)
        retry_id = await reads.retry_of(connection, tenant, job_id)
    if retry_id is None:
        return None
    existing, delivery = await reading.one(database, tenant, retry_id)
    return Acceptance(existing, delivery, is_new=False)


def _request(job: Job) -> Request:
    """What was asked for, with as much time as it had from the beginning."""
    return Request(
        model=job.model,
        input=job.input,
        warnings=job.warnings,
        callback_url=job.callback_url,
        callback_events=job.callback_events,
        external_id=job.external_id,
        metadata=job.metadata,
        priority=PRIORITIES[job.priority],
        expires_in=round((job.expires_at - job.created_at).total_seconds()),
        on_unconfirmed=job.on_unconfirmed,
    )
