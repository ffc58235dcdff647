"""A job is accepted: stored once and for all, then the bell is rung.

The answer 202 means that the commit is done. Where Postgres was lost in between, nobody can say whether
the job is there, and the caller is told just that: asking again could pay twice.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.bell import Bell
from service.clock import Clock
from service.database import Database
from service.ids import uuid7
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.models import PRIORITIES
from service.jobs.request import Request
from service.jobs.store.accept import Once
from service.jobs.storing import Storing, Times, store_alone
from service.telemetry import metrics
from service.tenants.tenant import Tenant
from service.webhooks.store import Progress


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A job that was accepted just now or, where the same was asked for before, then."""

    job: Job
    delivery: Progress | None
    is_new: bool


async def accept(storing: Storing, tenant: Tenant, request: Request, *, bell: Bell, clock: Clock) -> Job:
    """Store the job and ring. Raises AcceptanceUnknownError when Postgres was lost with the statement."""
    job_id = uuid7()
    times = await storing.store(tenant, job_id, request, now=clock())
    return _told(job_id, tenant, request, times, bell=bell)


async def accept_unless_there(
    database: Database,
    tenant: Tenant,
    request: Request,
    *,
    once: Once | None = None,
    retry_of: UUID | None = None,
    bell: Bell,
    clock: Clock,
) -> Job | None:
    """The same, but None if the key was used before, or if the job `retry_of` was retried before.

    What names either can be asked for again without harm, so losing Postgres is an UnavailableError then.
    """
    job_id = uuid7()
    times = await store_alone(database, tenant, job_id, request, now=clock(), once=once, retry_of=retry_of)
    return times and _told(job_id, tenant, request, times, retry_of=retry_of, bell=bell)


def _told(
    job_id: UUID, tenant: Tenant, request: Request, times: Times, *, retry_of: UUID | None = None, bell: Bell
) -> Job:
    metrics.ACCEPTED.labels(request.model).inc()
    bell.ring()
    created_at, expires_at = times
    return stored(job_id, tenant, request, retry_of=retry_of, created_at=created_at, expires_at=expires_at)


def stored(
    job_id: UUID,
    tenant: Tenant,
    request: Request,
    *,
    retry_of: UUID | None = None,
    created_at: datetime,
    expires_at: datetime,
) -> Job:
    """The job as its row is now: reading it back would double the cost of accepting it."""
    return Job(
        id=job_id,
        tenant_id=tenant.id,
        mode=tenant.mode,
        model=request.model,
        input=request.input,
        warnings=request.warnings,
        callback_url=request.callback_url,
        callback_events=request.callback_events,
        external_id=request.external_id,
        metadata=request.metadata,
        priority=PRIORITIES.index(request.priority),
        on_unconfirmed=request.on_unconfirmed,
        retry_of=retry_of,
        status=Status.ACCEPTED,
        sequence=1,
        owner=None,
        lease_until=None,
        epoch=0,
        due_at=created_at,
        waiting_for=None,
        submits=0,
        unconfirmed=0,
        refusals=0,
        intent_at=None,
        token_id=None,
        upstream_id=None,
        queue_position=None,
        cancel_requested_at=None,
        cancel_outcome=None,
        cancel_due_at=None,
        output=None,
        error=None,
        cost_usd=None,
        cost_due_at=None,
        created_at=created_at,
        submitted_at=None,
        started_at=None,
        finished_at=None,
        expires_at=expires_at,
        deleted_at=None,
    )
